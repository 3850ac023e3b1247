"""Arrays in NumPy's own files, from anybody."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError


def load_npy(path: Path) -> NDArray[Any]:
    """Load a .npy file; a file that holds Python objects is refused, not unpickled.

    Raises:
        InputError: the file is missing, damaged, or not one array of numbers or text.
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise InputError(f"{path}: not a readable .npy file ({' '.join(str(error).split())})") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: expected one array, found an archive")
    return array
