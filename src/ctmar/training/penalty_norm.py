"""The norm of a run: by its name or by import path, checked to be a norm."""

from ctmar.config.own_code import is_import_path, load_object
from ctmar.errors import InputError
from equiproj.norms import CustomNorm, Norm, parse_norm
from equiproj.testing import assert_norm

KEY = "study.runs.norm"


def penalty_norm(name: str) -> Norm | CustomNorm:
    """The norm that a configuration names.

    Args:
        name: a name of `equiproj.norms`, or ``module:name`` of a function from matrices (..., rows, columns) to (...).

    Raises:
        InputError: there is no such function, or it is no norm on random matrices.

    Examples:
        >>> penalty_norm("mixed:2,1"), penalty_norm("torch.linalg:matrix_norm")
        (Norm('mixed:2,1'), CustomNorm('torch.linalg:matrix_norm'))
    """
    if not is_import_path(name):
        return parse_norm(name)
    function = load_object(name, KEY)
    if not callable(function):
        raise InputError(f"{KEY}: expected a function of matrices for '{name}', found {type(function).__name__}")
    try:
        assert_norm(function)
    except Exception as error:  # somebody's own code can raise anything
        raise InputError(f"{KEY}: '{name}' is no norm: {' '.join(str(error).split())}") from None
    return CustomNorm(name, function)
