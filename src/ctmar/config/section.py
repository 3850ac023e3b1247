"""What every section of the configuration has in common."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text) or ".." in text:
        raise ValueError("expected a name of letters, digits, '_', '-' and single '.', at most 64, without blanks")
    return text


Slug = Annotated[str, AfterValidator(_slug)]  # a name that becomes a folder, and stands in a command line


def _is_a_path(value: Any) -> Any:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError("expected a path")  # an empty one would mean the folder of the file that names it
    return value


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise ValueError(
            "expected a path; '~' begins it with the home of a user whom this machine does not know"
        ) from None
    return expanded if folder is None else (folder / expanded).absolute()


# a path of the user: absolute, when a file names it from where it lies; on a command line as it was typed
UserPath = Annotated[Path, BeforeValidator(_is_a_path), AfterValidator(_beside_the_file)]


_SWITCH = PydanticCustomError(
    "switch", "expected a number and no true or false (to YAML yes, no, on and off are these)"
)


class Section(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _a_switch_is_no_number(cls, values: Any) -> Any:
        """Pydantic would take true for 1, and YAML reads yes, no, on and off as true and false."""
        if isinstance(values, dict):
            wrong = [name for name, value in values.items() if _has_switch(value) and cls._takes_numbers_alone(name)]
            if wrong:
                problems = [InitErrorDetails(type=_SWITCH, loc=(name,), input=values[name]) for name in wrong]
                raise ValidationError.from_exception_data(cls.__name__, problems)
        return values

    @classmethod
    def _takes_numbers_alone(cls, name: str) -> bool:
        kinds = _parts(cls.model_fields[name].annotation) if name in cls.model_fields else set()
        return not kinds & {bool, Any, str} and bool(kinds & {int, float})

    def published(self) -> dict[str, Any]:
        """The values as JSON, fit to leave the machine: paths on it are left out."""
        return {name: _published(getattr(self, name)) for name in type(self).model_fields}


def _has_switch(value: Any) -> bool:
    inner = value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else (value,)
    return any(one is True or one is False for one in inner)


def _parts(annotation: Any) -> set[Any]:
    """The types of which an annotation is made; of a literal those of its values, of a mapping those of its values."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal:
        return {type(value) for value in inner}
    if not inner:
        return {annotation} if annotation is Any or isinstance(annotation, type) else set()
    return set[Any]().union(*map(_parts, inner[1:] if get_origin(annotation) is dict else inner))


PRIVATE_PATH = "(a path of the user)"


def _published(value: Any) -> Any:
    if isinstance(value, Section):
        return value.published()
    if isinstance(value, Path):
        return PRIVATE_PATH
    if isinstance(value, Mapping):
        return {name: _published(item) for name, item in value.items()}
    return [_published(item) for item in value] if isinstance(value, list | tuple) else value
