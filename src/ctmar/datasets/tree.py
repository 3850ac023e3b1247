"""The files below a folder, those in its archives included, and the names they have in tables."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.config import Ingest
from ctmar.datasets.acquire import SOURCES_FILE
from ctmar.datasets.archives import Budget, is_archive, unpack
from ctmar.datasets.worker import refusal_of
from ctmar.errors import InputError
from ctmar.store.quarantine import Refused


@dataclass(frozen=True)
class Tree:
    """A folder, the temporary one that mirrors it with what its archives hold, and what of these was refused."""

    given: Path
    folder: Path
    unpacked: Path | None = None
    refused: list[tuple[str, Refused]] = field(default_factory=list)

    def files(self, path: Path) -> Iterator[Path]:
        """The file ``path``, or all files below the folder ``path``, those in its archives last."""
        yield from (file for file in walk(path) if self.unpacked is None or not is_archive(file))
        if self.unpacked is not None and path == self.folder:
            yield from walk(self.unpacked)

    def name(self, path: Path) -> str:
        """Name of a file from the root of the folder; an archive counts as a folder."""
        if self.unpacked is not None and path.is_relative_to(self.unpacked):
            return path.relative_to(self.unpacked).as_posix()
        return path.relative_to(self.folder).as_posix()


def walk(path: Path) -> Iterator[Path]:
    """The file ``path``, or all files below the folder ``path``, in the order of their names.

    Links to folders are not entered and locked folders cannot be: they stand among the files, to be refused.
    """
    if path.is_file():
        yield path
        return
    waiting = [path]  # no recursion: folders can be nested deeper than Python's stack
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                is_folder = {entry.name: _is_folder(entry) for entry in entries}
        except FileNotFoundError:
            continue
        except OSError:
            yield folder
            continue
        yield from (folder / name for name in sorted(name for name, inside in is_folder.items() if not inside))
        waiting += [folder / name for name in sorted((name for name in is_folder if is_folder[name]), reverse=True)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder that can be entered."""
    return entry.is_dir(follow_symlinks=False) and os.access(entry.path, os.R_OK | os.X_OK)


@contextmanager
def open_tree(given: Path, settings: Ingest) -> Iterator[Tree]:
    """Yield the tree of a folder or of an archive; what is unpacked vanishes when the block ends.

    Args:
        given: folder, or zip or tar archive. Archives of a folder made by ``ctmar acquire`` stay closed.
        settings: limits of unpacking.

    Raises:
        InputError: neither a folder nor an archive.
    """
    try:
        whole = given.is_file() and is_archive(given)
    except OSError as error:
        raise InputError(f"{given}: expected a folder or archive, found none ({error.strerror})") from None
    if not whole and not given.is_dir():
        problem = "expected a folder or archive, found another file" if given.exists() else "folder not found"
        raise InputError(f"{given}: {problem}; give a folder or archive (zip, tar) that holds CT")
    if given.is_dir() and not os.access(given, os.R_OK | os.X_OK):
        raise InputError(f"{given}: the folder cannot be read; check its permissions")
    archives = [path for path in walk(given) if is_archive(path)]
    if not archives or (given / SOURCES_FILE).is_file():
        yield Tree(given, given)
        return
    with tempfile.TemporaryDirectory(prefix="ctmar-") as temporary:
        root = Path(temporary).resolve()
        tree = Tree(given, given.parent if whole else given, root)
        budget = Budget(
            int(settings.maximum_unpacked_gb * 1e9), settings.maximum_archive_members, settings.maximum_archive_ratio
        )
        for archive in archives:
            tree.refused.extend(_unpack(archive, tree, budget))
        # of a single archive only the inside is named: its name does not tell patients apart
        yield Tree(given, root / given.name, None, tree.refused) if whole else tree


def _unpack(archive: Path, tree: Tree, budget: Budget) -> list[tuple[str, Refused]]:
    name = tree.name(archive)
    closed = None if archive == tree.given else refusal_of(archive, tree.folder.resolve())
    if closed is not None:
        return [(name, closed)]
    assert tree.unpacked is not None
    try:
        refused = unpack(archive, tree.unpacked / name, budget)
    except Refused as refusal:
        return [(name, refusal)]
    return [(member if archive == tree.given else f"{name}/{member}", refusal) for member, refusal in refused]
