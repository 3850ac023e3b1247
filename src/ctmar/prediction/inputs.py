"""The images to correct, one after the other, each with its metal."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Source
from ctmar.datasets.archives import is_archive
from ctmar.datasets.sources import Stack, find_stacks
from ctmar.datasets.tree import Tree, open_tree
from ctmar.dicom.headers import Image
from ctmar.dicom.series import Series
from ctmar.errors import InputError
from ctmar.long_work import Progress
from ctmar.prediction.choices import PredictionChoices
from ctmar.simulation.mask_files import read_masks
from ctmar.store.quarantine import Quarantined, Refused

_NOT_DICOM = Refused("not DICOM: a derived image needs a DICOM source", "none needed: only DICOM is corrected")


@contextmanager
def open_input(given: Path, settings: PredictionChoices) -> Iterator[Tree]:
    """The tree of a folder, of an archive, or of a single DICOM file.

    Raises:
        InputError: there is nothing at ``given``.
    """
    if not given.is_file() or is_archive(given):
        with open_tree(given, settings.reading) as tree:
            yield tree
        return
    # a folder of its own: neighbours of the file must not be read with it
    with tempfile.TemporaryDirectory(prefix="ctmar-") as folder:
        shutil.copyfile(given, Path(folder) / given.name)
        yield Tree(given, Path(folder))


def dicom_stacks(
    tree: Tree, settings: PredictionChoices, salt: bytes, progress: Progress
) -> tuple[list[Stack], list[Quarantined]]:
    """All series of axial CT in a tree, and what else is there.

    Raises:
        InputError: none of the files is usable; the message tells the commonest reasons.
    """
    source = Source(kind="dicom_dir", folder=tree.given)
    findings = find_stacks(tree, settings.reading, source, salt, settings.threads, progress)
    stacks = [stack for stack in findings.stacks if images_of(stack)]
    for stack in findings.stacks:
        if not images_of(stack):
            name = stack.origin.file_name(tree.name(stack.content.paths[0]), salt)
            findings.quarantined.append(Quarantined(name, _NOT_DICOM.reason, _NOT_DICOM.remedy))
    return stacks, findings.quarantined


def images_of(stack: Stack) -> tuple[Image, ...]:
    """The DICOM images of a stack; none if it is of another format."""
    return stack.content.images if isinstance(stack.content, Series) else ()


def masks_of(path: Path, stacks: list[Stack]) -> NDArray[np.bool_]:
    """Metal masks of a single series, foot to head: (n_images, n_rows, n_columns) as displayed.

    Rows run from anterior to posterior and columns from the patient's right to left, as the file stores nearly every
    axial image anyway.

    Args:
        path: any mask file that simulation reads, with a mask for each image.
        stacks: what is to be corrected.

    Raises:
        InputError: no mask in the file, or there are several series or another number of images.
    """
    masks = read_masks(path)
    if len(stacks) != 1 or stacks[0].content.n_slices != len(masks):
        images = " + ".join(str(stack.content.n_slices) for stack in stacks)
        raise InputError(f"{path}: expected a mask for each image of one series ({images}), found {len(masks)}")
    return masks != 0


def find_metal(image_hu: NDArray[np.float32], mask: NDArray[np.bool_] | None, metal_hu: float) -> NDArray[np.bool_]:
    """Where metal is: the mask if there is one, else all above the threshold.

    Raises:
        Refused: the mask has another shape than the image.
    """
    if mask is None:
        return image_hu > metal_hu
    if mask.shape != image_hu.shape:
        found, expected = (f"{shape[0]} × {shape[1]}" for shape in (mask.shape, image_hu.shape))
        raise Refused(f"the mask has {found} pixels, the image {expected}", "make the mask on the grid of the image")
    return mask
