"""Reading a whole study from its file; apart from single sections, which need not wait for all the others."""

from pathlib import Path

from ctmar.config.parsing import parse_settings
from ctmar.config.schema import Config


def load_config(path: Path | str) -> Config:
    """Read a whole study from a YAML file.

    Raises:
        InputError: the file is missing, is not YAML, or has wrong keys or values.
    """
    return parse_settings(Config, f"@{path}")
