"""What a user chooses, and what a prediction did."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.config import Ingest
from ctmar.errors import InputError
from ctmar.store.quarantine import Quarantined, summarise

_SMALLEST_ROWS = 16  # a small image may be corrected, though it would not be trained on


@dataclass(frozen=True)
class PredictionChoices:
    """What a user chooses; None takes what the run's description or the configuration says.

    Attributes:
        metal_hu: metal is above this [HU].
        mask: file of metal masks that takes the place of the threshold.
        image_size: rows and columns of the working grid [pixels].
        pixel_mm: its pixel [mm].
        preset: scan of the training data.
        salt_file: key of pseudonyms and unique identifiers.
        keep_identity: copy the modules of patient and study.
        metal_only: leave slices without metal out.
        any_coarseness: correct images that are far finer than the grid the network was trained on.
        device: cpu or cuda.
        threads: slices worked on at the same time.

    Raises:
        InputError: metal_hu is not finite.
    """

    metal_hu: float = Ingest.model_fields["metal_hu"].default
    mask: Path | None = None
    image_size: int | None = None
    pixel_mm: float | None = None
    preset: str | None = None
    salt_file: Path | None = None
    keep_identity: bool = False
    metal_only: bool = False
    any_coarseness: bool = False
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if not math.isfinite(self.metal_hu):
            raise InputError(f"--metal-hu: expected a finite number of HU, found {self.metal_hu}")

    @property
    def reading(self) -> Ingest:
        """How files are found and read: as for training, limits of archives included."""
        return Ingest(minimum_rows=_SMALLEST_ROWS, salt_file=self.salt_file)

    @property
    def metal(self) -> str:
        """In words, what counts as metal."""
        return f"metal above {self.metal_hu:g} HU" if self.mask is None else "metal by a given mask"


@dataclass
class PredictionSummary:
    """What prediction did; images are named as their files are, below the output folder.

    Attributes:
        unchanged: images without a correction, by the reason.
        at_skin: corrected images whose metal reaches the skin or lies outside the body.
    """

    n_corrected: int = 0
    n_unchanged: int = 0
    n_left_out: int = 0
    n_clipped_pixels: int = 0
    n_clipped_images: int = 0
    unchanged: dict[str, list[str]] = field(default_factory=dict)
    at_skin: list[str] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.n_corrected} images corrected; {self.n_unchanged} written with their pixels unchanged"]
        if self.n_left_out:
            lines[0] += f"; {self.n_left_out} without a correction left out"
        lines += [f"unchanged: {ranges(names)}: {reason}" for reason, names in self.unchanged.items()]
        if self.at_skin:
            lines.append(
                f"warning: metal on or outside the skin (electrodes, wires): {ranges(self.at_skin)}: compare the skin"
                " line with the source, the correction can take it away"
            )
        if self.quarantined:
            lines.append(f"{len(self.quarantined)} files or images refused ({summarise(self.quarantined)})")
        if self.n_clipped_images:
            lines.append(
                f"warning: {self.n_clipped_pixels} pixels of {self.n_clipped_images} images clipped to the range that"
                " the source can store"
            )
        return "\n".join(lines)


def ranges(names: list[str]) -> str:
    """Names of images in few words: neighbours in a series become a range.

    Examples:
        >>> ranges(["p-1/1/0000.dcm", "p-1/1/0001.dcm", "p-1/1/0002.dcm", "p-1/1/0005.dcm", "p-1/2/0000.dcm"])
        'p-1/1: 0–2, 5; p-1/2: 0'
    """
    by_series: dict[str, list[int]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        by_series.setdefault(folder, []).append(int(file.removesuffix(".dcm")))
    return "; ".join(f"{folder}: {', '.join(_runs(sorted(numbers)))}" for folder, numbers in by_series.items())


def _runs(numbers: list[int]) -> list[str]:
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return [f"{start}–{end}" if end > start else f"{start}" for start, end in zip(starts, ends, strict=True)]
