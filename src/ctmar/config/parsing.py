"""Reading a configuration: one line that names the key when something is wrong."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ctmar.errors import InputError

SectionT = TypeVar("SectionT", bound=BaseModel)
_SHORT = Repr()  # a message stays a line, whatever a file holds
_SHORT.maxstring = _SHORT.maxother = 100


def validate_section(model: type[SectionT], values: Any, where: str, *, folder: Path | None = None) -> SectionT:
    """Read ``values`` as ``model``.

    Args:
        model: the section.
        values: its keys and values.
        where: how an error names them.
        folder: where relative paths begin, which makes them absolute; left out, they stay as they are.

    Raises:
        InputError: one line that names every wrong key of ``where``, what was expected and what was found.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected keys and values, found {type(values).__name__} {values!r}")
    try:
        return model.model_validate(dict(values), context={"folder": folder})
    except ValidationError as error:
        raise InputError(f"{where}: {_one_line(error)}") from None


def validate_json(model: type[SectionT], content: bytes | str, where: str) -> SectionT:
    """Read JSON text as ``model``.

    Raises:
        InputError: as `validate_section`, or the text is not JSON.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{where}: {_one_line(error)}") from None


def _one_line(error: ValidationError) -> str:
    return "; ".join(_one_problem(problem) for problem in error.errors())


def _one_problem(problem: Any) -> str:
    key = _printable(".".join(str(part) for part in problem["loc"])) or "(whole section)"
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    if problem["type"] == "missing":
        return f"expected the key '{key}', found none"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_type" and isinstance(problem["input"], (bool, int, float, date)):
        message = "expected text (to YAML: in quotes)"
    return f"'{key}': {message}, found {_SHORT.repr(problem['input'])}" if problem["loc"] else message


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def parse_settings(model: type[SectionT], text: str, **defaults: Any) -> SectionT:
    """Read one section from YAML or JSON text, or from a file when the text starts with ``@``.

    Text of one line may leave the outer braces out.

    Args:
        model: the section.
        text: its keys and values.
        defaults: values of keys that the text does not have.

    Examples:
        >>> from ctmar.config import Run, Split
        >>> parse_settings(Split, "{seed: 3}").seed
        3
        >>> parse_settings(Run, "norm: frobenius, method: projection", network="dncnn").norm
        'frobenius'
    """
    where = f"settings of {model.__name__.lower()}"
    if text.startswith("@"):
        where = text[1:]
        values = read_yaml(Path(where))
    else:
        values = _values_of(text, where)
    if isinstance(values, Mapping):
        values = {**defaults, **values}
    return validate_section(model, values, where)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; nothing is an empty section.

    Raises:
        InputError: the file is missing, is no text or is not YAML.
    """
    if not path.is_file():
        raise InputError(f"{path}: settings file not found")
    return _values_of(_text_of(path), str(path))


def _values_of(text: str, where: str) -> Any:
    # imported here: training, given its settings as objects, does without
    import yaml

    from ctmar.config.strict_yaml import load

    try:
        values = load(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is no YAMLError
        if "\n" not in text and ": " in text and text[0] not in "{[":
            return _values_of(f"{{{text}}}", where)
        raise InputError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{where}: not valid YAML: lists or keys within each other a thousandfold") from None
    return values if values is not None else {}


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected readable UTF-8 text, found {type(error).__name__}") from None
