"""The one place that makes HDF5 files.

HDF5 crashes (a segmentation fault while a file is closed) when it cannot write what it has in its caches, as on a full
disk. It therefore writes through an object that never fails: what the disk refuses is kept in memory, the next record
that is written raises the error with the name of the file, and the file is closed in order and thrown away.

Texts have a fixed length: HDF5 keeps those of variable length in a heap, and reads one that is damaged for ever.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ctmar.store.atomic import atomic_path


class _Disk(io.RawIOBase):
    """A file whose writes never fail; the first error is in ``error``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._refused: list[tuple[int, bytes]] = []
        self._position = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all, or remember all."""
        content = bytes(data)
        try:
            if self.error is None:
                self._write(content)
        except OSError as error:
            self.error = error
        if self.error is not None:
            self._refused.append((self._position, content))
        self._position += len(content)
        return len(content)

    def _write(self, content: bytes) -> None:
        self._file.seek(self._position)
        view = memoryview(content)
        while view:  # a disk that is nearly full takes a part
            view = view[self._file.write(view) :]

    def readinto(self, buffer: Any) -> int:
        """Read what was written, or would have been; nothing there reads as zeros."""
        view, begin = memoryview(buffer).cast("B"), self._position
        self._file.seek(begin)
        content = bytearray(self._file.read(len(view)).ljust(len(view), b"\0"))
        for start, refused in self._refused:
            first, last = max(start, begin), min(start + len(refused), begin + len(view))
            if first < last:
                content[first - begin : last - begin] = refused[first - start : last - start]
        view[:] = content
        self._position += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; from the end, behind all that was written or refused."""
        ends = [self._file.seek(0, io.SEEK_END), *(start + len(refused) for start, refused in self._refused)]
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: max(ends)}[whence]
        return self._position

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Set the length; where the disk is full it stays as it is, the file is thrown away anyway."""
        size = self._position if size is None else size
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
        super().close()


class NewFile(h5py.File):
    """An HDF5 file that is being made; ``path`` is the name that it will have."""

    def __init__(self, temporary: Path, path: Path) -> None:
        self.path = path
        self._disk = _Disk(temporary)
        # from 1.8 on an attribute may have more than 64 kB
        super().__init__(self._disk, "w", libver=("v108", "latest"))

    def check(self) -> None:
        """Call it after every record.

        Raises:
            OSError: the disk took no more; it names the file.
        """
        if (error := self._disk.error) is not None:
            raise OSError(error.errno, error.strerror, str(self.path))

    def write_texts(self, name: str, texts: Sequence[str]) -> None:
        """Write a column of texts."""
        content = [text.encode() for text in texts]
        self.create_dataset(name, data=np.array(content, _text_type(content)), dtype=_text_type(content))

    def close(self) -> None:
        """Write what waits and close."""
        super().close()
        self._disk.close()


def write_text(place: h5py.HLObject, name: str, text: str) -> None:
    """Write a text as an attribute of a file or dataset."""
    content = text.encode()
    place.attrs.create(name, content, dtype=_text_type([content]))


def _text_type(content: list[bytes]) -> np.dtype[Any]:
    return h5py.string_dtype("utf-8", max([1, *map(len, content)]))


@contextmanager
def new_hdf5(path: Path | str) -> Iterator[NewFile]:
    """Make an HDF5 file, which appears at ``path`` whole when the block ends without an error.

    Raises:
        InputError: see `ctmar.store.atomic.check_target`.
        OSError: the disk took no more; it names the file.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.h5"
        >>> with new_hdf5(path) as file:
        ...     file["numbers"] = [1, 2]
        >>> h5py.File(path)["numbers"][1].item()
        2
    """
    with atomic_path(path) as temporary:
        with NewFile(temporary, Path(path)) as file:
            yield file
        file.check()
