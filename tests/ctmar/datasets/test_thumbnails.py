"""Pictures show what the slices hold, three to a series, in a file without pickles."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctmar.config import Report
from ctmar.datasets.thumbnails import MOST_PER_SERIES, WINDOW_HU, choose_pictures, thumbnail, write_thumbnails
from ctmar.store.slices import Slice, write_slices
from ctmar.units import hu_to_attenuation


def write(path: Path, images_hu: list[np.ndarray], series: list[str]) -> Path:
    records = [
        Slice(hu_to_attenuation(image), "p", name, f"p/{name}/{number:04d}", float(number), 1.0)
        for number, (image, name) in enumerate(zip(images_hu, series, strict=True))
    ]
    write_slices(path, records)
    return path


def test_grey_values_are_those_of_the_window():
    low, high = WINDOW_HU
    levels = {-1000.0: 0, low: 0, (low + high) / 2: 128, high: 255, 3000.0: 255}
    for level, expected in levels.items():
        picture = thumbnail(hu_to_attenuation(np.full((128, 128), level)))
        # exactly half-way the rounding of float32 decides
        assert np.abs(picture.astype(int) - expected).max() <= (1 if expected == 128 else 0), level
    assert Report().window_hu == WINDOW_HU


def test_a_picture_agrees_with_pillow(phantom):
    image_hu = np.kron(phantom, np.ones((6, 6)))
    low, high = WINDOW_HU
    grey = np.clip(image_hu, -1000, 1000).astype(np.float32)
    small = np.asarray(Image.fromarray(grey).resize((128, 128), Image.Resampling.BILINEAR))
    expected = np.rint(255 * np.clip((small - low) / (high - low), 0, 1))
    picture = thumbnail(hu_to_attenuation(image_hu)).astype(int)
    assert np.abs(picture - expected)[2:-2, 2:-2].max() <= 1


def test_three_of_each_series_in_order_from_the_file(phantom, tmp_path):
    names = ["1"] * 7 + ["2"] * 2
    images = [np.roll(phantom, number, axis=1) for number in range(9)]
    write_thumbnails(tmp_path / "t.npz", write(tmp_path / "s.h5", images, names))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        assert file["series"].tolist() == ["p/1"] * MOST_PER_SERIES + ["p/2"] * 2
        assert file["position"].tolist() == [1, 3, 5, 7, 8]
        assert (file["image"].dtype, file["image"].shape) == (np.uint8, (5, 128, 128))
        assert tuple(file["window_hu"]) == WINDOW_HU
        for picture, number in zip(file["image"], (1, 3, 5, 7, 8), strict=True):
            assert np.array_equal(picture, thumbnail(hu_to_attenuation(images[number])))


def test_the_same_slices_give_the_same_bytes(phantom, tmp_path):
    write(tmp_path / "s.h5", [phantom], ["1"])
    for name in ("a", "b"):
        write_thumbnails(tmp_path / f"{name}.npz", tmp_path / "s.h5")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("n_slices", range(1, 12))
def test_pictures_lie_symmetric_about_the_middle_of_a_series(n_slices):
    chosen = choose_pictures(["a"] * n_slices)
    assert len(set(chosen)) == len(chosen) == min(MOST_PER_SERIES, n_slices)
    # middles of equal parts: mirrored they are the same, but for rounding down
    assert all(abs(first + last - (n_slices - 1)) <= 1 for first, last in zip(chosen, chosen[::-1], strict=True))


def test_the_order_on_the_body_is_kept(shared, tmp_path):
    """Real slices: the spine is bright below, so the lower half holds more white than the upper."""
    from ctmar.config import Ingest
    from ctmar.datasets.ingest import ingest

    names = ("s.h5", "q.csv", "c.csv", "t.npz")
    ingest(shared / "totalseg_abdomen_j2k", *(tmp_path / name for name in names), settings=Ingest(image_size=128))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        assert len(file["image"]) == 3
        assert np.all(np.diff(file["position"]) > 0)
        for picture in file["image"]:
            white = picture[:, 50:80] == 255
            assert white[64:].sum() > 2 * white[:64].sum()
