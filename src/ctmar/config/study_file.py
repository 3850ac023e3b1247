"""Reading a whole study from its file; apart from single sections, which need not wait for all the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctmar.config.parsing import read_yaml, validate_section
from ctmar.config.schema import Config


def load_config(path: Path | str) -> Config:
    """Read a whole study from a YAML file.

    Raises:
        InputError: the file is missing, is not YAML, or has wrong keys or values.
    """
    return read_config(read_yaml(Path(path)), [path])


def read_config(values: Any, files: Sequence[Path | str]) -> Config:
    """Read a whole study from what its file holds.

    Args:
        values: keys and values; without `study.name` the study is called as the file is.
        files: where they come from; relative paths become absolute from the folder of the last, which also names the
            study.

    Raises:
        InputError: wrong keys or values.
    """
    where = " + ".join(map(str, files)) or "configuration"
    if not files:
        return validate_section(Config, values, where)
    return validate_section(Config, _named(values, Path(files[-1]).stem), where, folder=Path(files[-1]).parent)


def check_config_files(files: Sequence[Path | str]) -> None:
    """Refuse in files, whose values somebody else has read, what only this reader refuses, such as a doubled key.

    Raises:
        InputError: a file is missing, or is not YAML as it was meant.
    """
    for file in files:
        read_yaml(Path(file))


def _named(values: Any, name: str) -> Any:
    study = values.get("study") if isinstance(values, Mapping) else None
    if not isinstance(study, Mapping) or "name" in study:
        return values
    return {**values, "study": {"name": name, **study}}
