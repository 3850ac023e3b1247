"""CT made for tests: a phantom whose orientation shows, as DICOM and NIfTI, and small pair files that can be learnt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

from ctmar.config.methods import METHODS
from ctmar.datasets.acquire import acquire_packages
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord

SIZE = 64
PAIR_SIZE = 32


@pytest.fixture
def averaging() -> str:
    """The method that is averaged over the group at prediction time and differs from plain in that alone."""
    assert METHODS["test_time_average"].averages_predictions
    return "test_time_average"


def phantom_hu(size: int = SIZE) -> np.ndarray:
    """A body of water in displayed orientation: bone on the patient's left (image right), fat in front (image top)."""
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    image = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, 0.0, -1000.0)
    image[(x - 0.5) ** 2 + y**2 < 0.15**2] = 800.0
    image[x**2 + (y + 0.4) ** 2 < 0.12**2] = -100.0
    return np.round(image)


def _meta(sop_class: str, instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _set(dataset: Dataset, tags: dict[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


@pytest.fixture
def write_ct() -> Callable[..., Path]:
    """Write a classic CT slice: ``write_ct(path, number, image_hu, **tags)``; a tag set to None is left out."""

    def write(path: Path, number: int = 0, image_hu: np.ndarray | None = None, **tags: Any) -> Path:
        image_hu = phantom_hu() if image_hu is None else image_hu
        instance = f"1.2.3.4.{number + 1}"
        dataset = FileDataset(str(path), {}, file_meta=_meta(CTImageStorage, instance), preamble=b"\0" * 128)
        _set(
            dataset,
            {
                "SOPClassUID": CTImageStorage,
                "SOPInstanceUID": instance,
                "Modality": "CT",
                "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
                "PatientID": "one",
                "StudyInstanceUID": "1.2.3.1",
                "SeriesInstanceUID": "1.2.3.2",
                "FrameOfReferenceUID": "1.2.3.3",
                "Rows": image_hu.shape[0],
                "Columns": image_hu.shape[1],
                "PixelSpacing": [2.0, 2.0],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImagePositionPatient": [-63.0, -63.0, 5.0 * number],
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 1,
                "RescaleSlope": 1,
                "RescaleIntercept": -1024,
                "RescaleType": "HU",
                "PixelData": (image_hu + 1024).astype("<i2").tobytes(),
            },
        )
        _set(dataset, tags)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _item(**tags: Any) -> list[Dataset]:
    dataset = Dataset()
    _set(dataset, tags)
    return [dataset]


@pytest.fixture
def write_enhanced_ct() -> Callable[..., Path]:
    """Write enhanced CT; every frame has its own rescale, as (slope, intercept) per frame."""

    def write(
        path: Path, frames_hu: np.ndarray, rescales: list[tuple[float, float]], pixel_mm: float = 2.0, **tags: Any
    ) -> Path:
        dataset = FileDataset(str(path), {}, file_meta=_meta(EnhancedCTImageStorage, "1.2.3.9"), preamble=b"\0" * 128)
        stored, per_frame = [], []
        for number, (frame, (slope, intercept)) in enumerate(zip(frames_hu, rescales, strict=True)):
            stored.append(np.round((frame - intercept) / slope).astype("<i2"))
            groups = Dataset()
            groups.PlanePositionSequence = _item(ImagePositionPatient=[-63.0, -63.0, 5.0 * number])
            groups.PixelValueTransformationSequence = _item(
                RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="HU"
            )
            groups.CTImageFrameTypeSequence = _item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
            groups.FrameContentSequence = _item(DimensionIndexValues=[number + 1])
            per_frame.append(groups)
        shared = Dataset()
        shared.PixelMeasuresSequence = _item(PixelSpacing=[pixel_mm, pixel_mm], SliceThickness=5.0)
        shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        _set(
            dataset,
            {
                "SOPClassUID": EnhancedCTImageStorage,
                "SOPInstanceUID": "1.2.3.9",
                "Modality": "CT",
                "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
                "PatientID": "one",
                "PatientName": "",
                "PatientBirthDate": "",
                "PatientSex": "",
                "StudyInstanceUID": "1.2.3.1",
                "SeriesInstanceUID": "1.2.3.2",
                "FrameOfReferenceUID": "1.2.3.3",
                "NumberOfFrames": len(frames_hu),
                "Rows": frames_hu.shape[1],
                "Columns": frames_hu.shape[2],
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 1,
                "SharedFunctionalGroupsSequence": [shared],
                "PerFrameFunctionalGroupsSequence": per_frame,
                "PixelData": np.stack(stored).tobytes(),
            },
        )
        _set(dataset, tags)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def modify() -> Callable[..., Path]:
    """Copy a DICOM file with other tags: ``modify(source, target, **tags)``; None leaves a tag out."""

    def copy(source: Path, target: Path, **tags: Any) -> Path:
        dataset = pydicom.dcmread(source)
        _set(dataset, tags)
        target.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(target)
        return target

    return copy


@pytest.fixture
def phantom() -> np.ndarray:
    """The phantom in displayed orientation [HU]."""
    return phantom_hu()


@pytest.fixture(scope="session")
def packages(tmp_path_factory) -> Path:
    """The public CT of ``ctmar acquire``: where it was fetched before, else fetched once for the session."""
    folder = Path(__file__).resolve().parents[2] / "resources" / "packages"
    if not (folder / "ctmar-sources.json").is_file():
        folder = tmp_path_factory.mktemp("packages")
        acquire_packages(folder)
    return folder


@pytest.fixture(scope="session")
def write_pair_file() -> Callable[..., Path]:
    """Write ``n_slices`` smooth slices, each with ``n_masks`` discs of metal and streaks that depend on the disc."""

    def write(path: Path, seed: int = 0, n_slices: int = 3, n_masks: int = 2) -> Path:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:PAIR_SIZE, :PAIR_SIZE]
        slices, pairs = [], []
        for k in range(n_slices):
            image = gaussian_filter(random.random((PAIR_SIZE, PAIR_SIZE)), 2).astype(np.float32) * 0.4
            slices.append(SliceRecord(image, image, f"patient-{k}", f"patient-{k}/1/{k:04d}", 3.0))
            for mask_index in range(n_masks):
                row, column = random.integers(8, PAIR_SIZE - 8, size=2)
                mask = ((y - row) ** 2 + (x - column) ** 2 < (2 + mask_index) ** 2).astype(np.uint8)
                streaks = 0.05 * np.cos(y - row) * np.exp(-(((x - column) / 8) ** 2))
                ma_CT, LI_CT = (image + factor * streaks.astype(np.float32) for factor in (2, 1))
                pairs.append(PairRecord(ma_CT, LI_CT, mask, k, mask_index, "titanium"))
        write_pairs(path, slices, pairs, "train", {"seed": seed})
        return path

    return write


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory: pytest.TempPathFactory, write_pair_file: Callable[..., Path]) -> tuple[Path, Path]:
    """Pair files to train and to validate on."""
    folder = tmp_path_factory.mktemp("pairs")
    return write_pair_file(folder / "train.h5", seed=0), write_pair_file(folder / "validation.h5", seed=1)
