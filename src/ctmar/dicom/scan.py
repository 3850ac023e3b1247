"""From a folder to the axial CT images in it, file by file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from ctmar.dicom.acceptance import (
    check_image_type,
    check_matrix,
    check_object,
    check_orientation,
    check_position,
    check_rescale,
    check_spacing,
)
from ctmar.dicom.acquisitions import TAGS as ACQUISITION_TAGS
from ctmar.dicom.acquisitions import acquisition_of
from ctmar.dicom.headers import (
    ENHANCED_CT,
    EXPORT_AGAIN,
    Image,
    is_lossy,
    manufacturer,
    numbers,
    patient_identity,
    read_header,
    silent,
    sop_class,
    text,
)
from ctmar.dicom.maps import check_hounsfield_image
from ctmar.store.quarantine import Refused


def read_images(path: Path, minimum_rows: int, derived_maps: bool = False) -> list[Image]:
    """The axial CT images of one file: one, or every frame of enhanced CT.

    Args:
        path: any file.
        minimum_rows: smallest number of rows and columns that is used [pixels].
        derived_maps: whether maps of iodine, electron density and the like are taken for CT, too.

    Raises:
        Refused: the file is no usable CT, with the reason.
    """
    try:
        with silent():
            return _read_images(path, minimum_rows, derived_maps)
    except Refused:
        raise
    except Exception as error:
        # values are converted when they are first used: a damaged one can raise nearly anything, anywhere
        raise Refused(f"damaged DICOM header ({type(error).__name__})", EXPORT_AGAIN) from None


def _read_images(path: Path, minimum_rows: int, derived_maps: bool = False) -> list[Image]:
    header = read_header(path, ACQUISITION_TAGS)
    check_object(header)
    shape = check_matrix(header, minimum_rows)
    if sop_class(header) == ENHANCED_CT:
        frames = list(_frames(header))
        if not derived_maps:
            for groups, shared in frames:
                rescale = _group(groups, shared, "PixelValueTransformationSequence")
                check_hounsfield_image(header, _image_type(groups, shared), rescale)
        return [_frame(header, path, shape, frame, *groups) for frame, groups in enumerate(frames)]
    if not derived_maps:
        check_hounsfield_image(header, check_image_type(text(header, "ImageType")), header)
    return [_classic(header, path, shape)]


def _classic(header: Dataset, path: Path, shape: tuple[int, int]) -> Image:
    if text(header, "NumberOfFrames") not in ("", "1"):
        raise Refused("several frames in a CT object that holds one by definition", EXPORT_AGAIN)
    kinds = check_image_type(text(header, "ImageType"))
    check_rescale(header)
    return _image(header, path, -1, shape, check_spacing(header), header, header, kinds)


def _frames(header: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    """The functional groups of every frame and those that all frames share."""
    check_image_type(text(header, "ImageType"), enhanced=True)
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    shared = header.get("SharedFunctionalGroupsSequence")
    n_frames = int(numbers(header, "NumberOfFrames", 1)[0])
    if not per_frame or len(per_frame) != n_frames:
        raise Refused("enhanced CT without functional groups for every frame", EXPORT_AGAIN)
    for groups in per_frame:
        yield groups, shared[0] if shared else Dataset()


def _group(groups: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """One functional group: a frame's own before the shared one."""
    sequence = groups.get(keyword) or shared.get(keyword)
    if not sequence:
        raise Refused(f"enhanced CT without {keyword}", EXPORT_AGAIN)
    return sequence[0]


def _image_type(groups: Dataset, shared: Dataset) -> tuple[str, ...]:
    return check_image_type(text(_group(groups, shared, "CTImageFrameTypeSequence"), "FrameType"), enhanced=True)


def _frame(header: Dataset, path: Path, shape: tuple[int, int], frame: int, groups: Dataset, shared: Dataset) -> Image:
    kinds = _image_type(groups, shared)
    # a frame's own rescale counts, whatever the top level of the file says besides
    rescale = check_rescale(_group(groups, shared, "PixelValueTransformationSequence"))
    spacing = check_spacing(_group(groups, shared, "PixelMeasuresSequence"))
    position = _group(groups, shared, "PlanePositionSequence")
    orientation = _group(groups, shared, "PlaneOrientationSequence")
    image = _image(header, path, frame, shape, spacing, position, orientation, kinds)
    items = [element.value[0] for part in (groups, shared) for element in part if element.VR == "SQ" and element.value]
    kernel = "\\".join(filter(None, (text(item, "ConvolutionKernel") for item in items)))
    acquisition = acquisition_of([*items, header])
    return replace(image, rescale=rescale, acquisition=acquisition, series=f"{image.series}|{kernel}")


def _image(
    header: Dataset,
    path: Path,
    frame: int,
    shape: tuple[int, int],
    spacing: tuple[float, float],
    position_group: Dataset,
    orientation_group: Dataset,
    kinds: tuple[str, ...],
) -> Image:
    orientation = numbers(orientation_group, "ImageOrientationPatient", 6)
    check_orientation(orientation, kinds)
    patient = patient_identity(header, path)
    # adding 0.0 turns −0.0 into 0.0, which a rounded −1e-9 would otherwise differ in
    geometry = [*shape, *(round(value, 4) for value in spacing), *(round(value, 3) + 0.0 for value in orientation)]
    tags = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ConvolutionKernel")
    return Image(
        path=path,
        frame=frame,
        patient=patient,
        # a folder or even a series can mix reconstructions: what must agree for one stack of slices
        series="|".join([patient, *(text(header, tag) for tag in tags), *map(str, geometry)]),
        instance=text(header, "SOPInstanceUID"),
        rows=shape[0],
        columns=shape[1],
        row_mm=spacing[0],
        column_mm=spacing[1],
        position=check_position(position_group),
        orientation=orientation,
        lossy=is_lossy(header),
        manufacturer=manufacturer(header),
        study=text(header, "StudyInstanceUID"),
        frame_of_reference=text(header, "FrameOfReferenceUID"),
        acquisition=acquisition_of([header]),
        compressed=UID(text(header.file_meta, "TransferSyntaxUID")).is_encapsulated,
    )
