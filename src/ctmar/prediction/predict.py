"""From a folder of CT with metal to a folder of derived images, slice by slice."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctmar.datasets.bounds import displayed_in_order
from ctmar.datasets.sources import Stack
from ctmar.datasets.tree import Tree
from ctmar.dicom.derived import Derivation, write_derived
from ctmar.dicom.headers import Image, silent
from ctmar.errors import InputError
from ctmar.long_work import Progress, ahead, no_progress, thread_pool
from ctmar.models.predictor import averaging_of, predictor_of
from ctmar.models.symmetry import study_group
from ctmar.models.trained_network import load_network
from ctmar.prediction.choices import PredictionChoices, PredictionSummary
from ctmar.prediction.correction import Unchanged, change_of_slice
from ctmar.prediction.inputs import dicom_stacks, find_metal, images_of, masks_of, open_input
from ctmar.prediction.network import WorkingGrid, correction_of, working_grid
from ctmar.prediction.skin import reaches_skin
from ctmar.store.provenance import package_versions, sha256_of
from ctmar.store.pseudonyms import read_salt
from ctmar.store.quarantine import Quarantined, Refused, summarise, write_quarantine
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription

IDENTITY = {True: "patient and study are copied", False: "patient and study are replaced by pseudonyms"}


@dataclass(frozen=True)
class _Corrected:
    """What to add to an image [HU], and whether its metal reaches the skin."""

    change_hu: NDArray[np.float32]
    at_skin: bool


@dataclass(frozen=True)
class _Job:
    """One image under way; ``corrected`` gives what to add to it, or raises why it stays as it is or is refused."""

    stack: Stack
    index: int
    image: Image
    corrected: "Future[_Corrected]"

    @property
    def name(self) -> str:
        """The derived image, relative to the output folder."""
        return f"{self.stack.patient}/{self.stack.series}/{self.index:04d}.dcm"


@dataclass(frozen=True)
class _Recipe:
    """What the derived images say of the way they were made."""

    description: str
    digest: str
    architecture: str
    salt: bytes
    keep_identity: bool

    def derivation(self, stack: Stack) -> Derivation:
        return Derivation(
            patient=stack.patient,
            series=int(stack.series),
            recipe=self.digest,
            series_description=f"MAR {self.architecture} (research only)"[:64],
            version=package_versions(["equiproj"])["equiproj"],
            salt=self.salt,
            keep_identity=self.keep_identity,
        )


def predict(
    given: Path,
    folder: RunFolder,
    output: Path,
    settings: PredictionChoices,
    *,
    quarantine: Path | None = None,
    progress: Progress = no_progress,
) -> PredictionSummary:
    """Correct every CT image of a file, folder or archive and write derived images.

    ``output`` gets one folder for each patient, in it one for each series, in it the images from foot to head; all are
    named by pseudonyms and numbers.

    Args:
        given: DICOM file, or folder or archive of such.
        folder: the trained run.
        output: folder to fill, new or empty.
        settings: metal, working grid, what is told of the patient.
        quarantine: CSV of what is refused, with reason and remedy.
        progress: called with (images done, images in all, text).

    Raises:
        InputError: a file is missing or malformed, ``output`` holds files, or nothing can be corrected.
    """
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise InputError(f"{output}: expected a new or empty folder, so that the images of two runs do not mix")
    run = folder.read_description()
    grid = working_grid(run.grid, settings)
    network = load_network(folder, run, settings.device)
    correct = correction_of(predictor_of(network, run.run.method, study_group(run.group)), settings.device)
    recipe = _recipe(run, sha256_of(folder.weights), grid, settings)
    print(f"{recipe.description}; {IDENTITY[settings.keep_identity]}", file=sys.stderr)
    # pydicom's warnings quote values of the header; silence is not made for threads, so it is set once around all
    with silent(), _one_torch_thread(), open_input(given, settings) as tree:
        stacks, quarantined = dicom_stacks(tree, settings, recipe.salt, progress)
        summary = PredictionSummary(quarantined=quarantined)
        masks = None if settings.mask is None else masks_of(settings.mask, stacks)
        change = partial(_correct, grid=grid, correct=correct, any_coarseness=settings.any_coarseness)
        with thread_pool(settings.threads) as pool:
            jobs = ahead(_jobs(stacks, masks, settings, change, pool), 2 * settings.threads)
            n_images = sum(stack.content.n_slices for stack in stacks)
            for n_done, job in enumerate(jobs, 1):
                try:
                    _write(job, output, recipe, settings, summary)
                except Refused as refusal:
                    summary.quarantined.append(_row(job, tree, recipe.salt, refusal))
                progress(n_done, n_images, "images")
    if quarantine is not None:
        write_quarantine(quarantine, summary.quarantined)
    if summary.n_corrected + summary.n_unchanged + summary.n_left_out == 0:
        raise InputError(f"{given}: none of the files is usable CT ({summarise(summary.quarantined)})")
    return summary


def _recipe(run: RunDescription, weights_digest: str, grid: WorkingGrid, settings: PredictionChoices) -> _Recipe:
    architecture, averaging = run.network.architecture, averaging_of(run.run.method, run.group)
    network = f"network {architecture}{averaging}, weights {weights_digest[:16]}"
    mask_digest = "" if settings.mask is None else sha256_of(settings.mask)
    return _Recipe(
        description=f"{network}; {settings.metal}; working grid {grid}",
        digest=f"{weights_digest}{averaging} {settings.metal} {mask_digest} {grid}",
        architecture=architecture,
        salt=read_salt(settings.salt_file),
        keep_identity=settings.keep_identity,
    )


def _jobs(
    stacks: list[Stack],
    masks: NDArray[np.bool_] | None,
    settings: PredictionChoices,
    change: Any,
    pool: ThreadPoolExecutor,
) -> Iterator[_Job]:
    """Read one image after the other, within bounds, and hand those with metal to the pool."""
    places = [(stack, index, image) for stack in stacks for index, image in enumerate(images_of(stack))]
    parts = [part for stack in stacks for part in stack.content.parts(range(stack.content.n_slices))]
    for (stack, index, image), read in zip(places, displayed_in_order(parts, settings.threads), strict=True):
        future: Future[_Corrected] = Future()
        try:
            if isinstance(read, Refused):
                raise read
            metal = find_metal(read.image, None if masks is None else masks[index], settings.metal_hu)
            if metal.any():
                future = pool.submit(change, read.image, metal, read.row_mm, read.column_mm)
            else:
                future.set_exception(Unchanged(f"no {settings.metal}"))
        except Refused as refusal:
            future.set_exception(refusal)
        yield _Job(stack, index, image, future)


def _correct(
    image_hu: NDArray[np.float32], metal: NDArray[np.bool_], row_mm: float, column_mm: float, **how: Any
) -> _Corrected:
    change_hu = change_of_slice(image_hu, metal, row_mm, column_mm, **how)
    return _Corrected(change_hu, reaches_skin(image_hu, metal, row_mm, column_mm))


def _write(job: _Job, output: Path, recipe: _Recipe, settings: PredictionChoices, summary: PredictionSummary) -> None:
    change_hu: NDArray[np.float32] | None = None
    try:
        corrected = job.corrected.result()
        change_hu, at_skin = corrected.change_hu, corrected.at_skin
        how = "metal artefact reduction by linear interpolation of the reprojected metal trace and a neural network"
    except Unchanged as reason:
        how, at_skin = f"pixel values unchanged: {reason}", False
        summary.unchanged.setdefault(str(reason), []).append(job.name)
        if settings.metal_only:
            summary.n_left_out += 1
            return
    description = f"{how}; {recipe.description}; research software, not for diagnosis"
    derivation = recipe.derivation(job.stack)
    # it decodes once more, without bounds: what was read within them above is read in the same way
    n_clipped = write_derived(job.image, change_hu, output / job.name, job.index + 1, description[:1024], derivation)
    summary.n_clipped_pixels += n_clipped
    summary.n_clipped_images += n_clipped > 0
    if change_hu is None:
        summary.n_unchanged += 1
    else:
        summary.n_corrected += 1
        if at_skin:
            summary.at_skin.append(job.name)


def _row(job: _Job, tree: Tree, salt: bytes, refusal: Refused) -> Quarantined:
    frame = f"#{job.index:04d}" if job.image.frame >= 0 else ""
    name = job.stack.origin.file_name(tree.name(job.image.path), salt)
    return Quarantined(f"{name}{frame}", refusal.reason, refusal.remedy)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Slices run side by side instead, so that no result depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
