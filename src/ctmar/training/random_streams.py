"""Independent random numbers for each purpose, seed and step.

Draws are a function of (seed, purpose, step) and of nothing else: a restarted run needs no generator state, and
methods that draw more or fewer numbers still see the same data and the same initial weights.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch

Purpose = Literal["initialisation", "order", "position", "method", "layers"]
_STREAMS: dict[Purpose, int] = {"initialisation": 0, "order": 1, "position": 2, "method": 3, "layers": 4}


def numpy_generator(seed: int, purpose: Purpose, step: int = 0) -> np.random.Generator:
    """NumPy generator of one step.

    Examples:
        >>> first, again = (numpy_generator(0, "position", 7).integers(1000) for _ in range(2))
        >>> bool(first == again)
        True
    """
    return np.random.default_rng([seed, _STREAMS[purpose], step])


@lru_cache(maxsize=16)  # that of the layers is asked for in every step
def torch_seed(seed: int, purpose: Purpose, step: int = 0) -> int:
    """Seed for a torch generator of one step."""
    return int(numpy_generator(seed, purpose, step).integers(2**63))


def torch_generator(seed: int, purpose: Purpose, step: int = 0) -> torch.Generator:
    """Torch generator (CPU) of one step."""
    return torch.Generator().manual_seed(torch_seed(seed, purpose, step))
