"""Masks that were not drawn: those of a folder, or those that came with the slices; and which of them a slice gets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Simulation, Subset
from ctmar.errors import InputError
from ctmar.simulation.mask_files import MASK_SUFFIXES, read_masks
from ctmar.simulation.noise import random_stream
from ctmar.simulation.plain_files import fit_mask
from ctmar.store.slices import SliceFile


@dataclass(frozen=True, eq=False)
class GivenMasks:
    """Masks (n_masks, size, size) on the grid of the slices, or None where each is drawn; and how many a slice gets."""

    masks: NDArray[np.uint8] | None
    n_per_slice: int
    seed: int

    def checksums(self) -> dict[str, str]:
        """Return the checksum of given masks for the provenance of a file; drawn ones follow from the seed."""
        return {} if self.masks is None else {"masks_sha256": hashlib.sha256(self.masks.tobytes()).hexdigest()}

    def of_slice(self, slice_id: str) -> list[tuple[int, NDArray[np.uint8] | None]]:
        """Return number and mask of every pair of a slice: all masks, or as many as wanted drawn without replacement.

        The number is the place among the masks, so that a mask has the same number in every slice.
        """
        if self.masks is None:
            return [(number, None) for number in range(self.n_per_slice)]
        order = random_stream(self.seed, slice_id, "masks").permutation(len(self.masks))
        return [(number, self.masks[number]) for number in sorted(order[: self.n_per_slice].tolist())]


def masks_for(settings: Simulation, subset: Subset, slices: SliceFile) -> GivenMasks:
    """Read the masks that the settings ask for.

    Of stored masks the test subset takes those named `test` and the others those named `train`; where the source does
    not tell them apart, all.

    Raises:
        InputError: there are no masks, fewer than wanted, or one does not fit the slices.
    """
    wanted = settings.masks_per_slice[subset]
    masks: NDArray[np.uint8] | None = None
    if settings.masks == "stored":
        masks = _stored(slices, "test" if subset == "test" else "train")
    elif settings.masks == "folder":
        masks = read_mask_folder(Path(str(settings.mask_folder)), slices.image_size)
    if masks is not None and len(masks) < wanted:
        raise InputError(
            f"simulation.masks_per_slice: expected at most the {len(masks)} masks of masks '{settings.masks}'"
            f" for subset '{subset}', found {wanted}"
        )
    return GivenMasks(masks, wanted, settings.seed)


def _stored(slices: SliceFile, name: str) -> NDArray[np.uint8]:
    stored = slices.read_masks()
    if not stored:
        raise InputError("simulation.masks: expected masks that came with the slices for 'stored', found none")
    masks = stored[name] if name in stored else np.concatenate([stored[key] for key in sorted(stored)])
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        raise InputError(f"stored mask {empty[0]}: no metal pixel on the grid of the slices: raise ingest.image_size")
    return masks


def read_mask_folder(folder: Path, image_size: int) -> NDArray[np.uint8]:
    """Read all masks of the files in a folder, by name, on a grid: (n_masks, image_size, image_size).

    Raises:
        InputError: there are no masks, or one cannot be read or does not fit.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: folder of masks not found")
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(MASK_SUFFIXES) and path.is_file())
    if not files:
        raise InputError(f"{folder}: expected masks in {', '.join(MASK_SUFFIXES)}, found none")
    masks = []
    for path in files:
        for number, mask in enumerate(read_masks(path)):
            try:
                masks.append(fit_mask(mask, image_size))
            except InputError as error:
                raise InputError(f"{path}: mask {number}: {error}") from None
    return np.stack(masks)
