"""The benchmark's own pairs: its corrupted images instead of a simulation, to train on it as it was published.

Beside each `gt.h5` lie files `<k>.h5` of the same slice with metal mask k. The benchmark's parts stay what they are:
nothing of its folder `test` is ever trained on.
"""

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Ingest, Source, Subset
from ctmar.datasets.benchmark_slices import PIXEL_MM, part_of_benchmark, read_masks, read_slice
from ctmar.datasets.sources import Stack, find_stacks
from ctmar.datasets.split import patients_of, read_split
from ctmar.datasets.tree import Tree
from ctmar.datasets.worker import OUTSIDE
from ctmar.errors import InputError
from ctmar.long_work import Progress, no_progress
from ctmar.store.atomic import check_target
from ctmar.store.pair_writer import PairWriter, open_pair_writer
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.provenance import provenance_json, sha256_of
from ctmar.store.pseudonyms import read_salt
from ctmar.store.quarantine import Quarantined, Refused, summarise, write_quarantine
from ctmar.store.syndeeplesion import COPY_AGAIN, read_stored_fields

_METAL = "titanium"  # of all masks of the benchmark
_NO_MASK = Refused("its metal mask is not in the file of masks", "copy the whole file of masks from the benchmark")


@dataclass(frozen=True)
class Imported:
    """What became of the benchmark's files."""

    n_slices: int
    n_pairs: int
    n_quarantined: int


@dataclass(frozen=True)
class Place:
    """Where a slice lies, its `gt.h5` in the benchmark's folder ``root``, and what it is called."""

    path: Path
    root: Path
    patient: str
    slice_id: str


def import_pairs(
    folder: Path | str,
    output: Path | str,
    quarantine: Path | str,
    subset: Subset = "train",
    split: Path | str | None = None,
    *,
    settings: Ingest,
    progress: Progress = no_progress,
) -> Imported:
    """Copy the stored pairs of one subset into a pair file, one slice after the other.

    Args:
        folder: copy of the benchmark (layout: :mod:`ctmar.datasets.benchmark_slices`).
        output: pair file (layout: :mod:`ctmar.store.pairs`); all its images are the stored ones.
        quarantine: CSV of files that are left out, with reason and remedy.
        subset: without a split, the part of the benchmark of this name.
        split: CSV of ``ctmar split`` for slices of the same folder (see :func:`choose_stacks`).
        settings: size of the stored images, file of the salt; all slices are taken.
        progress: called as ``progress(n_done, n_total, what)``.

    Raises:
        InputError: there is no list, no such part, the split is of other patients, or no pair can be used.
    """
    check_target(output)
    check_target(quarantine, output)
    folder = Path(folder)
    tree, salt = Tree(folder, folder), read_salt(settings.salt_file)
    findings = find_stacks(tree, settings, Source(kind="syndeeplesion", folder=folder), salt, 1, progress)
    stacks = choose_stacks(findings.stacks, subset, None if split is None else patients_of(read_split(split), subset))
    masks = read_masks(folder, settings.image_size)
    jobs = [(stack, index, path) for stack in stacks for index, path in enumerate(stack.content.paths)]
    no_masks = np.zeros((0, settings.image_size, settings.image_size), np.uint8)
    n_slices = n_pairs = 0
    with open_pair_writer(output, subset, _provenance(settings, split, masks)) as writer:
        for n_done, (stack, index, path) in enumerate(jobs, start=1):
            place = Place(path, folder.resolve(), stack.patient, f"{stack.slice_prefix}/{index:04d}")
            n_written, refused = _copy_slice(writer, place, masks.get(part_of_benchmark(stack.content.paths), no_masks))
            n_slices, n_pairs = n_slices + (n_written > 0), n_pairs + n_written
            names = [(stack.origin.file_name(tree.name(file), salt), refusal) for file, refusal in refused]
            findings.quarantined += [Quarantined(name, refusal.reason, refusal.remedy) for name, refusal in names]
            progress(n_done, len(jobs), "slices")
        write_quarantine(quarantine, findings.quarantined)
        if n_pairs == 0:
            reasons = summarise(findings.quarantined) or "no file <k>.h5 beside a gt.h5"
            raise InputError(f"{folder}: no pair can be used ({reasons}); file by file: {quarantine}")
    n_quarantined = len(findings.quarantined)
    print(f"{n_pairs} pairs of {n_slices} slices; {n_quarantined} files left out, see {quarantine}", file=sys.stderr)
    return Imported(n_slices, n_pairs, n_quarantined)


def choose_stacks(stacks: Sequence[Stack], subset: Subset, dealt: Collection[str] | None) -> list[Stack]:
    """Series of a subset: of the benchmark's part of that name, or of its part `train` for the patients dealt to it.

    The part `test` is in the test subset whoever is dealt to it, and in no other.

    Raises:
        InputError: no series, or a patient of the part `test` would be trained on with other slices.
    """
    published = {stack.slice_prefix: part_of_benchmark(stack.content.paths) for stack in stacks}
    if dealt is None:
        chosen = [stack for stack in stacks if published[stack.slice_prefix] == subset]
    else:
        test = {stack.patient for stack in stacks if published[stack.slice_prefix] == "test"}
        leaks = sorted(test & {stack.patient for stack in stacks if published[stack.slice_prefix] != "test"})
        if leaks:
            raise InputError(
                f"the benchmark has patients in both of its parts ({', '.join(leaks)}), and a patient of a split is in "
                "one subset only; leave the split out to take the parts as they were published"
            )
        chosen = [stack for stack in stacks if stack.patient in dealt and stack.patient not in test]
        chosen += [stack for stack in stacks if stack.patient in test and subset == "test"]
    if not chosen:
        found = ", ".join(sorted(set(published.values()))) or "none"
        why = (
            "deal the part 'train' with --split"
            if dealt is None
            else "is the split of this folder, made with the same salt?"
        )
        raise InputError(f"subset '{subset}' has no patient with slices; parts of the benchmark here: {found}; {why}")
    return chosen


def _copy_slice(writer: PairWriter, place: Place, masks: NDArray[np.uint8]) -> tuple[int, list[tuple[Path, Refused]]]:
    """Write a slice and its pairs; nothing of a slice that has no usable pair.

    Args:
        writer: of the pair file.
        place: the slice.
        masks: metal masks of this part of the benchmark (n_masks, size, size).

    Returns:
        Pairs written, and the files that were left out with the reason.
    """
    size = masks.shape[1]
    try:
        image, (poly,) = read_slice(place.path, size), read_stored_fields(place.path, ("poly_CT",), size)
    except Refused as refusal:
        return 0, [(place.path, refusal)]
    record = SliceRecord(image, poly, place.patient, place.slice_id, PIXEL_MM)
    refused, n_pairs, slice_index = [], 0, 0
    for number, path in _files_of_masks(place.path.parent):
        try:
            corrupted, interpolated = _read_images(path, place.root, number, masks)
        except Refused as refusal:
            refused.append((path, refusal))
            continue
        if n_pairs == 0:
            slice_index = writer.write_slice(record)
        writer.write_pair(PairRecord(corrupted, interpolated, masks[number], slice_index, number, _METAL))
        n_pairs += 1
    return n_pairs, refused


def _files_of_masks(folder: Path) -> list[tuple[int, Path]]:
    """Files `<k>.h5` of a slice by their masks' numbers."""
    files = [path for path in folder.glob("*.h5") if path.stem.isascii() and path.stem.isdecimal()]
    return sorted((int(path.stem), path) for path in files)


def _read_images(path: Path, root: Path, number: int, masks: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """ma_CT and LI_CT of a file `<k>.h5`."""
    if not path.resolve().is_relative_to(root):
        raise OUTSIDE
    if number >= len(masks):
        raise _NO_MASK
    images = read_stored_fields(path, ("ma_CT", "LI_CT"), masks.shape[1])
    if not all(np.isfinite(image).all() for image in images):
        raise Refused("values that are not finite", COPY_AGAIN)
    return images


def _provenance(settings: Ingest, split: Path | str | None, masks: Mapping[str, NDArray[np.uint8]]) -> dict:
    public = {"image_size": settings.image_size, "pixel_mm": PIXEL_MM, "metal": _METAL}
    facts = {} if split is None else {"split_sha256": sha256_of(split)}
    n_masks = {name: len(stored) for name, stored in masks.items()}
    return json.loads(provenance_json(public, source="SynDeepLesion, as stored", n_masks=n_masks, **facts))
