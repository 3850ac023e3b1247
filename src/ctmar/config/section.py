"""What every section of the configuration has in common."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text) or ".." in text:
        raise ValueError("expected a name of letters, digits, '_', '-' and single '.', at most 64, without blanks")
    return text


Slug = Annotated[str, AfterValidator(_slug)]  # a name that becomes a folder, and stands in a command line


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path.expanduser() if folder is None else (folder / path.expanduser()).absolute()


# a path of the user: absolute, when a file names it from where it lies; on a command line as it was typed
UserPath = Annotated[Path, AfterValidator(_beside_the_file)]


class Section(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def published(self) -> dict[str, Any]:
        """The values as JSON, fit to leave the machine: paths on it are left out."""
        return {name: _published(getattr(self, name)) for name in type(self).model_fields}


PRIVATE_PATH = "(a path of the user)"


def _published(value: Any) -> Any:
    if isinstance(value, Section):
        return value.published()
    if isinstance(value, Path):
        return PRIVATE_PATH
    if isinstance(value, Mapping):
        return {name: _published(item) for name, item in value.items()}
    return [_published(item) for item in value] if isinstance(value, list | tuple) else value
