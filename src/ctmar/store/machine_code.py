"""Machine code of the few inner loops that numpy cannot express, kept on disk between runs."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile ``function``; keep the machine code beside the source or, failing that, in the user's cache.

    Args:
        function: what numba can compile.
        options: of ``numba.njit``, beside the release of the interpreter's lock.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither place can be written: compile anew in each process
        return numba.njit(nogil=True, **options)(function)
