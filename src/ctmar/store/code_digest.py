"""Digests of our own code and of the packages below it: what the workflow must know to run a step again.

Snakemake sees the command line and the declared files; an edited module is neither.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path
from ctmar.store.closure import Closure
from ctmar.store.running_code import PACKAGES

SOURCE = Path(__file__).resolve().parents[2]
# packages that pip knows by another name than Python
DISTRIBUTIONS = {
    "pynvml": "nvidia-ml-py",
    "PIL": "pillow",
    "nrrd": "pynrrd",
    "skimage": "scikit-image",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}


class CodeDigests:
    """Digests of entry points, which change when what they run does, and not with a comment.

    Args:
        source: the folder of our packages.
        memory: a file that keeps digests from one process to the next, for as long as no byte of the source changes:
            reading the syntax of a hundred modules takes a second. Left out, it lies where Python keeps what it made of
            the source.
    """

    def __init__(self, source: Path = SOURCE, memory: Path | None = None) -> None:
        self.source = source
        self.memory = memory or source / "ctmar" / "__pycache__" / "code_digests.json"

    def command(self, name: str) -> str:
        """SHA-256 over what a command of `ctmar` runs, and the versions of Python and of the packages it imports.

        Raises:
            LookupError: there is no such command.

        Examples:
            >>> CodeDigests().command("split") == CodeDigests().command("split")
            True
        """
        return self._with_versions(name, lambda: Closure.of_command(name, self.source))

    def script(self, path: Path) -> str:
        """The same for a script outside our packages."""
        key = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        return self._with_versions(key, lambda: Closure.of_script(path, self.source))

    @cached_property
    def of_source(self) -> str:
        """SHA-256 over every byte of both packages, comments and all."""
        digest = hashlib.sha256()
        files = (path for package in PACKAGES for path in (self.source / package).rglob("*"))
        # compiled code of Python and numba follows from the source
        for path in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{path.relative_to(self.source)}\0".encode() + path.read_bytes() + b"\0")
        return digest.hexdigest()

    def _with_versions(self, key: str, closure: Callable[[], Closure]) -> str:
        if key not in self._remembered:
            found = closure()
            self._remembered[key] = {"code": digest_of(found), "imported": sorted(found.imported)}
            self._keep()
        code, imported = (self._remembered[key][name] for name in ("code", "imported"))
        versions = {"python": list(sys.version_info[:2])} | {name: version_of(name) for name in imported}
        return hashlib.sha256(json.dumps([code, versions], sort_keys=True).encode()).hexdigest()

    @cached_property
    def _remembered(self) -> dict[str, Any]:
        with suppress(OSError, ValueError, KeyError, TypeError):  # no memory, or not one of ours: it is made again
            found = json.loads(self.memory.read_text())
            if found["source"] == self.of_source:
                return dict(found["digests"])
        return {}

    def _keep(self) -> None:
        with suppress(OSError, InputError), atomic_path(self.memory) as temporary:  # where nobody may write
            temporary.write_text(json.dumps({"source": self.of_source, "digests": self._remembered}))


def digest_of(closure: Closure) -> str:
    """SHA-256 over the code and the data files of a closure."""
    digest = hashlib.sha256()
    for module, parts in sorted(closure.code.items()):
        digest.update(f"{module}\0".encode())
        for part in sorted(parts, key=lambda part: (part.line, part.code)):
            digest.update(part.code.encode() + b"\0")
    for path in closure.data_files():
        digest.update(f"{path.relative_to(closure.source)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache  # what is installed stays as it is while a process runs
def version_of(package: str) -> str:
    """The version of a package by the name that Python imports, empty where it is not installed."""
    try:
        return metadata.version(DISTRIBUTIONS.get(package, package))
    except metadata.PackageNotFoundError:
        return ""
