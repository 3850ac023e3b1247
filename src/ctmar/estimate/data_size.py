"""How large the data of a study may become, as far as its configuration says before they are read."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ctmar.config import Config, Subset
from ctmar.datasets.packages import SCANS
from ctmar.errors import InputError
from ctmar.store.tables import read_rows

_ANY_NUMBER_OF_PATIENTS = 100  # where nobody says
_PACKAGES_MB = 500.0  # the public packages with CT
_ANY_ORDER = 8  # of a group of the user's own
_BYTES_PER_PIXEL_OF_A_PAIR = 16  # four images of float32
_BYTES_PER_PIXEL_OF_A_PREPARED_PAIR = 120  # see `ctmar.evaluation.pair_metrics`, which bounds what it keeps, too
_CACHED_MB, _PREPARED_MB = 1074.0, 268.0  # at most


@dataclass(frozen=True)
class DataSize:
    """Slices and pairs of a study, at most, and what a process keeps of them [10⁶ bytes]."""

    config: Config

    @cached_property
    def n_patients(self) -> int:
        """Patients that the configuration names, or a number to be on the safe side."""
        source, split = self.config.source, self.config.split
        if source.patients:
            return len(source.patients)
        if source.kind == "package":
            return len({scan.patient for scan in SCANS})
        if self._series:
            return len({row["patient"] for row in self._series})
        named = {name for fold in split.named_folds for name in (*fold.train, *fold.validation)}
        return max(_ANY_NUMBER_OF_PATIENTS, len(named | set(split.assignment)))

    @cached_property
    def _series(self) -> list[dict[str, str]]:
        manifest = self.config.source.manifest
        is_there = self.config.source.kind == "idc" and manifest is not None and manifest.is_file()
        with suppress(InputError):  # the download says what is wrong with it
            return read_rows(manifest, ("patient", "megabytes")) if is_there and manifest else []
        return []

    @property
    def download_mb(self) -> float:
        """What is downloaded."""
        return sum(float(row["megabytes"]) for row in self._series) or _PACKAGES_MB

    @property
    def order(self) -> int:
        """Elements of the group of the study."""
        factors = re.findall(r"\b([CD])(\d+)", self.config.study.group)
        return prod((2 if kind == "D" else 1) * int(n) for kind, n in factors) if factors else _ANY_ORDER

    @property
    def n_pixels(self) -> int:
        """Pixels of a slice."""
        return self.config.ingest.image_size**2

    @property
    def n_slices(self) -> int:
        """Slices of all patients."""
        return self.n_patients * self.config.ingest.maximum_slices_per_patient

    @property
    def n_folds(self) -> int:
        """Folds, in each of which other patients are tested."""
        folds = self.config.split.folds
        return max(1, folds if isinstance(folds, int) else len(folds))

    def n_pairs(self, subset: Subset) -> int:
        """Pairs of a subset, if it had all slices."""
        return self.n_slices * self.config.simulation.masks_per_slice.get(subset, 0)

    @property
    def cached_mb(self) -> float:
        """Pairs to train on that a process keeps; none where they do not fit."""
        return min(_CACHED_MB, self.n_pairs("train") * self.n_pixels * _BYTES_PER_PIXEL_OF_A_PAIR / 1e6)

    @property
    def prepared_mb(self) -> float:
        """Test pairs that a process keeps, and as many images with signals."""
        n_files = 1 + (self.config.simulation.signals.images_per_patient > 0)
        prepared = self.n_pairs("test") * self.n_pixels * _BYTES_PER_PIXEL_OF_A_PREPARED_PAIR / 1e6
        return n_files * min(_PREPARED_MB, prepared)
