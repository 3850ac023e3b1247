"""What a user chooses, and what a prediction did."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from ctmar.config import Ingest
from ctmar.errors import InputError
from ctmar.store.quarantine import Quarantined, summarise

SMALLEST_ROWS = 16  # a small image may be corrected, though it would not be trained on


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
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if not math.isfinite(self.metal_hu):
            raise InputError(f"--metal-hu: expected a finite number of HU, found {self.metal_hu}")

    @property
    def reading(self) -> Ingest:
        """How files are found and read: as for training, limits of archives included."""
        return Ingest(minimum_rows=SMALLEST_ROWS, salt_file=self.salt_file)

    @property
    def metal(self) -> str:
        """In words, what counts as metal."""
        return f"metal above {self.metal_hu:g} HU" if self.mask is None else "metal by a given mask"


@dataclass
class PredictionSummary:
    """What prediction did."""

    n_corrected: int = 0
    n_unchanged: int = 0
    n_left_out: int = 0
    n_clipped_pixels: int = 0
    n_clipped_images: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.n_corrected} images corrected", f"{self.n_unchanged} written with their pixels unchanged"]
        if self.n_left_out:
            parts.append(f"{self.n_left_out} without metal left out")
        if self.quarantined:
            parts.append(f"{len(self.quarantined)} files or images refused ({summarise(self.quarantined)})")
        if self.n_clipped_images:
            parts.append(
                f"warning: {self.n_clipped_pixels} pixels of {self.n_clipped_images} images clipped to the range that"
                " the source can store"
            )
        return "; ".join(parts)
