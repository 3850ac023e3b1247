"""What must not leave the machine, looked for in everything that is about to: paths, names of user and host."""

import getpass
import io
import os
import re
import socket
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ctmar.bundles.bundle_contents import Entries, read_content
from ctmar.bundles.patient_names import pseudonyms_in
from ctmar.errors import InputError

_SHORTEST_NAME = 4  # shorter ones are words of any text
# homes of other people, and of this one on another machine
_HOMES = re.compile(rb"(?:/home/|/Users/|[A-Za-z]:\\+Users\\+)[\w.-]+")
_OWN_CODE = "code/"
_WIDE = (re.compile(rb"([^\0])\0"), re.compile(rb"([^\0])\0{3}"))  # letters of two bytes, and of four as numpy has them


@dataclass(frozen=True)
class Trace:
    """Something private: what it is in words, and how it is found."""

    what: str
    pattern: re.Pattern[bytes]


def refuse_traces(entries: Entries, own_paths: Iterable[Path], allowed: Iterable[str], own_data: bool) -> None:
    """Refuse to publish files in which something private is found.

    Args:
        entries: contents by name; below ``code/`` is our own source, which holds names of people and no user's.
        own_paths: folders of this machine, beside the home and the working directory.
        allowed: names that may stand in the files, although user or host are called so.
        own_data: pseudonyms of patients must not be there either.

    Raises:
        InputError: the first file with a trace, and what it is; not the text itself, which may end in a log.
    """
    paths = list(_path_traces(own_paths))
    # our own source has made-up homes in examples
    names = [Trace("the home folder of a user", _HOMES), *_name_traces(allowed, entries)]
    for name, content in entries.items():
        ours = name.startswith(_OWN_CODE)
        for inner in _readable(read_content(content)):
            for trace in paths if ours else [*paths, *names]:
                if trace.pattern.search(inner):
                    raise InputError(f"{name}: expected nothing of this machine in a bundle, found {trace.what}")
            if not ours and own_data and pseudonyms_in(inner):
                raise InputError(f"{name}: expected no pseudonym of a patient in a bundle of your own CT, found one")


def _readable(content: bytes) -> Iterator[bytes]:
    """A file, and of a zip archive (weights, arrays) its parts; texts of two or four bytes a letter become one."""
    parts = [content]
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts += map(archive.read, archive.namelist())
    for part in parts:
        yield part
        if b"\0" in part:
            yield from (wide.sub(rb"\1", part) for wide in _WIDE)


def _path_traces(own_paths: Iterable[Path]) -> Iterator[Trace]:
    wanted = {"the home folder": Path.home(), "the working directory": Path.cwd()}
    paths = [*wanted.items(), *(("a path of this machine", path) for path in own_paths)]
    for what, path in paths:
        for form in {str(path), str(path.resolve())}:
            if len(Path(form).parts) > 1:  # the root of the file system is everywhere
                # not inside a longer path, and not the beginning of a longer name
                yield Trace(what, re.compile(rb"(?<![\w.])" + re.escape(os.fsencode(form)) + rb"(?![\w.-])"))


def _name_traces(allowed: Iterable[str], entries: Entries) -> Iterator[Trace]:
    """Names of user and host as words; one that our own source holds too, such as "root", tells nothing."""
    source = b"\n".join(read_content(content) for name, content in entries.items() if name.startswith(_OWN_CODE))
    host = socket.gethostname()
    users = {getpass.getuser(), *(os.environ.get(name, "") for name in ("USER", "LOGNAME"))}
    found = {
        **dict.fromkeys(users, "the name of the user"),
        **dict.fromkeys({host, host.partition(".")[0]}, "the host"),
    }
    skipped = {name.lower() for name in allowed}
    for name, what in found.items():
        pattern = re.compile(rb"(?<![A-Za-z0-9])" + re.escape(name.encode()) + rb"(?![A-Za-z0-9])", re.IGNORECASE)
        if len(name) >= _SHORTEST_NAME and name.lower() not in skipped and not pattern.search(source):
            yield Trace(f"{what} ('--allow {name}' if it is meant)", pattern)
