"""Arrays in NumPy's own files, from anybody."""

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError

# NumPy reads the header as Python's text, so that damage in it raises what the tokeniser and parser raise
DAMAGE = (
    ValueError,
    EOFError,
    OSError,
    MemoryError,
    SyntaxError,
    TypeError,
    LookupError,
    OverflowError,
    RecursionError,
)


def map_npy(path: Path) -> NDArray[Any]:
    """Open a .npy file without reading its numbers: a header that claims more than the file holds is refused.

    Raises:
        InputError: the file is missing, damaged, or not one array of numbers or text.
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (*DAMAGE, tokenize.TokenError) as error:
        raise InputError(f"{path}: not a readable .npy file ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: expected one array, found an archive")
    return array


def load_npy(path: Path) -> NDArray[Any]:
    """Load a .npy file; a file that holds Python objects is refused, not unpickled.

    Raises:
        InputError: as for `map_npy`.
    """
    return np.array(map_npy(path))
