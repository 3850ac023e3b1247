import sys
from types import ModuleType

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whichever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def escnn():
    """The escnn library. Its import needs lie_learn, for SO(3) alone; the planar groups do without."""
    try:
        import lie_learn.representations.SO3.wigner_d  # noqa: F401
    except ImportError:
        parts = ["lie_learn", "representations", "SO3", "wigner_d"]
        for depth in range(1, 5):
            sys.modules[".".join(parts[:depth])] = ModuleType(".".join(parts[:depth]))
        sys.modules[".".join(parts)].wigner_D_matrix = None
    pytest.importorskip("escnn.gspaces")
    pytest.importorskip("escnn.nn")
    return sys.modules["escnn"]
