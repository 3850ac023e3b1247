"""Random numbers that depend on what they are for, not on when or where they are drawn."""

import hashlib

import numpy as np


def random_stream(seed: int, *labels: str | int) -> np.random.Generator:
    """Return a counter-based generator (Philox) keyed by ``seed`` and ``labels``.

    Slices and masks drawn by any number of jobs in any order get the same numbers.

    Examples:
        >>> a, b = random_stream(0, "p1/1/0001", 3), random_stream(0, "p1/1/0001", 3)
        >>> bool(a.random() == b.random())
        True
    """
    text = "/".join(str(label) for label in (seed, *labels))
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))
