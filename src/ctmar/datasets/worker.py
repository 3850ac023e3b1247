"""From files to headers and to finished slices: the work that processes share out.

Every process imports what is imported here, so that is little: no configuration, no HDF5, no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.datasets.grid import resample_to_grid
from ctmar.datasets.quality import Limits, Statistics, check_hounsfield, check_on_grid, check_slice, measure
from ctmar.dicom.headers import Image
from ctmar.dicom.scan import read_images
from ctmar.store.chunks import PackedImage, pack_image
from ctmar.store.ct_source import CtSource, DisplayedSlice, Part
from ctmar.store.provenance import sha256_of
from ctmar.store.quarantine import Refused
from ctmar.units import attenuation_to_hu, hu_to_attenuation
from ctmar.volumes.displayed import open_volume
from ctmar.volumes.stored_volume import reader_of

OUTSIDE = Refused("a link that leaves the folder", "copy the file into the folder")
NO_REGULAR_FILE = Refused(
    "no regular file: a link to a folder, a locked folder, a pipe or a device",
    "give the file or folder itself, with the permission to read it",
)
_KILLS = Refused(
    "reading it kills the process: damaged so that a decoder crashes, or larger than the memory",
    "export the series again from the scanner or archive; use fewer threads if memory is short",
)


@dataclass(frozen=True)
class Recipe:
    """What becomes of every slice: the working grid and the limits of quality control."""

    image_size: int
    pixel_mm: float | None
    limits: Limits


@dataclass(frozen=True)
class Headers:
    """What a file holds: images that are yet to be sorted into series, or whole sources; or why it is refused."""

    images: list[Image] = field(default_factory=list)
    sources: list[CtSource] = field(default_factory=list)
    refused: Refused | None = None


@dataclass(frozen=True)
class Task:
    """Some slices of one stack, in parts that can be read and lost singly."""

    prefix: str
    parts: tuple[Part, ...]

    @property
    def n_slices(self) -> int:
        """Slices to read."""
        return sum(len(part.indices) for part in self.parts)


@dataclass(frozen=True)
class Finished:
    """A slice on the working grid [1/cm], packed for the file, or why it was refused; statistics if it was decoded."""

    path: Path
    index: int | None  # None: the refusal is of the file, not of one of its slices
    shares_file: bool
    outcome: PackedImage | Refused
    sha256: str = ""
    statistics: Statistics | None = None
    position_mm: float = 0.0
    pixel_mm: float = 0.0


def read_headers(paths: list[Path], root: Path, minimum_rows: int, readers: Mapping[str, str]) -> list[Headers]:
    """What each file holds, or why it is refused; links that leave ``root`` are not followed.

    Args:
        paths: files.
        root: folder that all of them lie in.
        minimum_rows: smallest number of rows and columns that is used [pixels].
        readers: modules of :mod:`ctmar.volumes` by the suffixes of their files; all other files are tried as DICOM.
    """
    return [_read_header(path, root, minimum_rows, readers) for path in paths]


def split_paths(paths: list[Path]) -> list[list[Path]]:
    """The files one by one."""
    return [[path] for path in paths]


def lost_paths(paths: list[Path]) -> list[Headers]:
    """What stands for files whose headers kill the process."""
    return [Headers(refused=_KILLS) for _ in paths]


def _read_header(path: Path, root: Path, minimum_rows: int, readers: Mapping[str, str]) -> Headers:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return Headers(refused=OUTSIDE)
    if not path.is_file():  # reading a pipe would wait for ever
        return Headers(refused=NO_REGULAR_FILE)
    reader = reader_of(path, readers)
    try:
        if reader is None:
            return Headers(images=read_images(path, minimum_rows))
        return Headers(sources=[open_volume(path, minimum_rows, reader)])
    except Refused as refusal:
        return Headers(refused=refusal)


def read_task(task: Task, recipe: Recipe) -> list[Finished]:
    """Decode, check, resample and convert the slices of a task."""
    return [finished for part in task.parts for finished in _read_part(part, recipe)]


def split_task(task: Task) -> list[Task]:
    """Tasks of a single part each."""
    return [Task(task.prefix, (part,)) for part in task.parts]


def lost_task(task: Task) -> list[Finished]:
    """What stands for a task that kills the process."""
    return [_refuse(part, _KILLS) for part in task.parts]


def _read_part(part: Part, recipe: Recipe) -> Iterator[Finished]:
    checksum = ""
    try:
        checksum = _checksum(part.paths)
        for index, displayed in zip(part.indices, part.read(), strict=True):
            outcome, pixel_mm = _finish_or_refuse(displayed, recipe)
            yield Finished(
                part.paths[0],
                index,
                part.shares_file,
                outcome,
                checksum,
                measure(attenuation_to_hu(displayed.image) if displayed.final else displayed.image),
                displayed.position_mm,
                pixel_mm,
            )
    except Refused as refusal:
        yield _refuse(part, refusal, checksum)


def _refuse(part: Part, refusal: Refused, checksum: str = "") -> Finished:
    index = part.indices[0] if len(part.indices) == 1 else None
    return Finished(part.paths[0], index, part.shares_file, refusal, checksum)


def _checksum(paths: Sequence[Path]) -> str:
    try:
        return "".join(map(sha256_of, paths))
    except OSError:
        raise Refused("the file cannot be read", "check the file's permissions and the disk") from None


def _finish_or_refuse(displayed: DisplayedSlice, recipe: Recipe) -> tuple[PackedImage | Refused, float]:
    try:
        return finish(displayed, recipe)
    except Refused as refusal:
        return refusal, 0.0


def finish(displayed: DisplayedSlice, recipe: Recipe) -> tuple[PackedImage, float]:
    """Check a displayed slice, bring it to the working grid and to attenuation.

    Returns:
        The image (size, size) [1/cm], packed, and its pixel [mm].

    Raises:
        Refused: the slice fails quality control.
    """
    if displayed.final:
        return pack_image(displayed.image), displayed.row_mm
    check_hounsfield(displayed.image)
    check_slice(displayed.image, recipe.limits)
    spacing_mm = displayed.row_mm, displayed.column_mm
    on_grid_hu, pixel_mm = resample_to_grid(displayed.image, *spacing_mm, recipe.image_size, recipe.pixel_mm)
    check_on_grid(on_grid_hu, recipe.limits)
    return pack_image(hu_to_attenuation(on_grid_hu)), pixel_mm
