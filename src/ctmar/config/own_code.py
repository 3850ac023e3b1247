"""Code of the user's own that a configuration names by import path, ``module:name``.

A module is found on the Python path, or it is a file that ``extensions`` lists (``--extension FILE`` on the command
line). Its code runs, so a file that is not listed is never looked for.
"""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from ctmar.errors import InputError
from equiproj.norms import KNOWN_NORMS

_IMPORT_PATH = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")
_NORM_KINDS = {name.partition(":")[0] for name in KNOWN_NORMS}
_listed: dict[str, Path] = {}  # modules that are files of `extensions`


def is_import_path(text: str) -> bool:
    """Whether a text has the form ``module:name`` and is no name of a norm such as ``induced:inf``.

    Examples:
        >>> is_import_path("my_networks:MyNet"), is_import_path("frobenius"), is_import_path("induced:inf")
        (True, False, False)
    """
    return _IMPORT_PATH.fullmatch(text) is not None and text.partition(":")[0] not in _NORM_KINDS


def name_of(text: str) -> str:
    """What an import path names inside its module.

    Examples:
        >>> name_of("my_metrics:haar_psi")
        'haar_psi'
    """
    return text.partition(":")[2]


def slug_of(text: str) -> str:
    """An import path as the name of a column can carry it.

    Examples:
        >>> slug_of("my_metrics.region:haar_psi")
        'my_metrics_region_haar_psi'
    """
    return text.replace(".", "_").replace(":", "_")


def register_extensions(files: Iterable[Path]) -> None:
    """Run files, in their order, and keep each as the module of its name.

    Raises:
        InputError: a file is missing, has a name that is no module's or that another module has, or fails.
    """
    for file in files:
        path = file.resolve()
        if _listed.get(path.stem) != path:
            _run_file(path.stem, path)


def _run_file(name: str, path: Path) -> None:
    if path.suffix != ".py" or not name.isidentifier():
        raise InputError(f"extensions: expected a Python file whose name can be imported, found '{path.name}'")
    if not path.is_file():
        raise InputError(f"extensions: {path}: file not found")
    if name in sys.modules or _spec_of(name) not in (None, str(path)):
        raise InputError(f"extensions: {path}: there is another module of the name '{name}'; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"extensions: {path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody's own code can raise anything
        del sys.modules[name]
        raise InputError(f"extensions: {path}: {_in_one_line(error)}") from None
    _listed[name] = path


def _spec_of(name: str) -> str | None:
    """Where Python would find a module of that name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None else str(spec.origin)


def load_object(text: str, key: str) -> Any:
    """What an import path names.

    Args:
        text: the import path.
        key: the key of the configuration that holds it, for messages.

    Raises:
        InputError: there is no such module or name, or the module fails while it is imported.

    Examples:
        >>> load_object("math:hypot", "evaluation.metrics")(3.0, 4.0)
        5.0
    """
    module, name = _module_of(text, key), name_of(text)
    try:
        return getattr(module, name)
    except AttributeError:
        raise InputError(f"{key}: the module of '{text}' has nothing called '{name}'") from None


def _module_of(text: str, key: str) -> ModuleType:
    module = text.partition(":")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise InputError(
                f"{key}: no module '{module}' for '{text}' on the Python path or among the files of extensions"
            ) from None
        raise InputError(f"{key}: '{text}': {_in_one_line(error)}") from None
    except Exception as error:  # somebody's own code can raise anything
        raise InputError(f"{key}: '{text}': {_in_one_line(error)}") from None


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def own_code_sha256(texts: Iterable[str]) -> dict[str, str]:
    """Digest of the code behind every import path among ``texts``: of all listed files, and of each module's package.

    Raises:
        InputError: see `load_object`.
    """
    modules = {text.partition(":")[0] for text in texts if is_import_path(text)}
    roots = {name.partition(".")[0]: _module_of(f"{name}:", "extensions") for name in modules}
    files = {name: [path] for name, path in _listed.items()} | {
        name: _source_files(name) for name in roots if name not in _listed
    }
    return {name: _sha256(paths) for name, paths in sorted(files.items())}


def _source_files(name: str) -> list[Path]:
    module = sys.modules[name]
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    own_file = getattr(module, "__file__", None)
    return sorted(
        {*(path for folder in folders for path in folder.rglob("*.py")), *([Path(own_file)] if own_file else [])}
    )


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
