"""From files to headers and to finished slices: the work that processes share out.

Every process imports what is imported here, so that is little: no configuration, no HDF5, no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.datasets.bounds import KILLS, slices_of, unexpected
from ctmar.datasets.grid import resample_to_grid
from ctmar.datasets.quality import (
    Limits,
    Statistics,
    check_extent,
    check_hounsfield,
    check_on_grid,
    check_slice,
    measure,
)
from ctmar.dicom.headers import Image
from ctmar.dicom.scan import read_images
from ctmar.store.chunks import PackedImage, pack_image
from ctmar.store.ct_source import CtSource, DisplayedSlice, Geometry, Part
from ctmar.store.provenance import sha256_of
from ctmar.store.quarantine import Refused
from ctmar.units import attenuation_to_hu, hu_to_attenuation
from ctmar.volumes.displayed import open_volume
from ctmar.volumes.stored_volume import reader_of

OUTSIDE = Refused("a link that leaves the folder", "copy the file into the folder")
_NO_REGULAR_FILE = Refused(
    "no regular file: a link to a folder, a locked folder, a pipe or a device",
    "give the file or folder itself, with the permission to read it",
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


@dataclass(frozen=True)
class Selection:
    """Which files are read, and how.

    Attributes:
        root: folder that all files lie in; links that leave it are not followed.
        minimum_rows: smallest number of rows and columns that is used [pixels].
        derived_maps: whether DICOM images of something else than Hounsfield numbers are taken, too.
        readers: modules of :mod:`ctmar.volumes` by the suffixes of their files; all other files are tried as DICOM.
    """

    root: Path
    minimum_rows: int
    derived_maps: bool
    readers: Mapping[str, str]


def read_headers(paths: list[Path], selection: Selection) -> list[Headers]:
    """What each file holds, or why it is refused; whatever one file does, the others are read."""
    return [_read_header(path, selection) for path in paths]


def refusal_of(path: Path, root: Path) -> Refused | None:
    """Why a path is not opened at all; None for a file."""
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            return OUTSIDE
        return None if path.is_file() else _NO_REGULAR_FILE  # reading a pipe would wait for ever
    except (OSError, RuntimeError):  # a link to itself, a name that is too long, a folder without permission
        return _NO_REGULAR_FILE


def split_paths(paths: list[Path]) -> list[list[Path]]:
    """The files one by one."""
    return [[path] for path in paths]


def lost_paths(paths: list[Path]) -> list[Headers]:
    """What stands for files whose headers kill the process."""
    return [Headers(refused=KILLS) for _ in paths]


def _read_header(path: Path, selection: Selection) -> Headers:
    try:
        refusal = refusal_of(path, selection.root)
        if refusal is not None:
            return Headers(refused=refusal)
        found = _read_contents(path, selection)
        for geometry in {*map(_extent, found.images), *(source.geometry() for source in found.sources)}:
            check_extent(geometry)
        return found
    except Refused as refusal:
        return Headers(refused=refusal)
    except Exception as error:
        return Headers(refused=unexpected(error))


def _read_contents(path: Path, selection: Selection) -> Headers:
    reader = reader_of(path, selection.readers)
    if reader is None:
        return Headers(images=read_images(path, selection.minimum_rows, selection.derived_maps))
    return Headers(sources=[open_volume(path, selection.minimum_rows, reader)])


def _extent(image: Image) -> Geometry:
    return Geometry("dicom", image.rows, image.columns, image.column_mm, image.row_mm)


def read_task(task: Task, recipe: Recipe) -> list[Finished]:
    """Decode, check, resample and convert the slices of a task."""
    return [finished for part in task.parts for finished in _read_part(part, recipe)]


def split_task(task: Task) -> list[Task]:
    """Tasks of a single part each."""
    return [Task(task.prefix, (part,)) for part in task.parts]


def lost_task(task: Task) -> list[Finished]:
    """What stands for a task that kills the process."""
    return [_refuse(part, KILLS) for part in task.parts]


def _read_part(part: Part, recipe: Recipe) -> Iterator[Finished]:
    checksum = ""
    try:
        checksum = _checksum(part.paths)
        for index, displayed in zip(part.indices, slices_of(part), strict=True):
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
    except Exception as error:
        yield _refuse(part, unexpected(error), checksum)


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
