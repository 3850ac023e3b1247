import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from tests.ctmar.reporting.conftest import study_config

from ctmar.errors import InputError
from ctmar.reporting.checked_files import Thumbnails, read_thumbnails
from ctmar.reporting.data_section import data_section, quarantine_summary, series_pictures, split_rows

CONFIG = study_config()


def test_every_series_with_pictures_is_shown_in_the_order_of_the_catalogue(results):
    section = data_section(results, CONFIG, 10**6)
    assert [series.name for series in section.series] == ["aorta-ct/1", "torso-ct/1", "abdomen-petct/1"]
    assert [len(series.pictures) for series in section.series] == [3, 3, 3]
    address, text = section.series[0].pictures[0]
    assert address.startswith("data:image/webp;base64,")
    assert text == "aorta-ct/1: slice at 10 mm"
    assert section.series[0].pictures[2][1] == "aorta-ct/1: slice"  # its position is not known


def test_pictures_stay_within_their_room(results):
    every, _ = series_pictures(results.catalogue, results.thumbnails, 10**6)
    n_bytes = sum(len(address) for address, _ in every[0].pictures)
    shown, n_left_out = series_pictures(results.catalogue, results.thumbnails, n_bytes)
    assert ([series.name for series in shown], n_left_out) == (["aorta-ct/1"], 2)


def test_numbers_of_the_catalogue_are_readable(results):
    rows = {row["patient"]: row for row in data_section(results, CONFIG, 0).catalogue}
    assert rows["aorta-ct"]["minimum_hu"] == "−1024"
    assert rows["aorta-ct"]["mean_hu"] == "−412.5"
    assert rows["head-693"]["mean_hu"] == ""


def test_a_study_without_pictures_or_quality_numbers_still_has_its_tables(results):
    catalogue = results.catalogue.drop(columns=["minimum_hu", "maximum_hu", "mean_hu", "body_fraction"])
    thumbnails = Thumbnails(*(array[:0] for array in vars(results.thumbnails).values()))
    section = data_section(dataclasses.replace(results, catalogue=catalogue, thumbnails=thumbnails), CONFIG, 10**6)
    assert section.series == []
    assert list(section.catalogue_columns) == ["slice_spacing_mm"]
    assert len(section.catalogue) == 4


def test_quarantine_is_counted_by_reason(results):
    summary = quarantine_summary(results.quarantine)
    assert summary[0] == {"reason": "little body", "remedy": "none needed", "n_files": 12}
    assert sum(row["n_files"] for row in summary) == len(results.quarantine)


def test_a_page_of_pictures_says_what_is_missing(results, config):
    from ctmar.reporting import page

    text = page.render_page(results, config)
    assert len(re.findall(r'<div class="thumbnails">', text)) == 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"series": ["a"]}, r"expected array\(s\) position, image"),
        ({"series": ["a"], "position": [0.0], "image": np.zeros((2, 8, 8), np.uint8)}, "expected 1 grey images"),
        ({"series": ["a"], "position": [0.0], "image": np.zeros((1, 8, 8))}, "found float64"),
    ],
)
def test_malformed_thumbnails_are_named(tmp_path, arrays, message):
    path = tmp_path / "thumbnails.npz"
    np.savez(path, **{name: np.array(array) for name, array in arrays.items()})
    with pytest.raises(InputError, match=message):
        read_thumbnails(path)


def test_text_is_no_file_of_thumbnails(tmp_path):
    path = tmp_path / "thumbnails.npz"
    path.write_text("not an archive")
    with pytest.raises(InputError, match="expected arrays as numpy writes them"):
        read_thumbnails(path)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "thumbnails.npz"
    np.savez(path, series=np.array([{}], dtype=object), position=[0.0], image=np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(InputError, match="allow_pickle"):
        read_thumbnails(path)


def test_a_patient_is_one_row_with_its_subset_in_every_fold():
    split = pd.DataFrame(
        {
            "fold": [0, 0, 0, 1, 1, 1],
            "patient": ["a", "b", "c", "a", "b", "c"],
            "subset": ["train", "validation", "test", "test", "train", "validation"],
            "n_slices": [5, 4, 1, 5, 4, 1],
        }
    )
    assert split_rows(split) == [
        {"patient": "a", "subsets": ["train", "test"], "n_slices": 5},
        {"patient": "b", "subsets": ["validation", "train"], "n_slices": 4},
        {"patient": "c", "subsets": ["test", "validation"], "n_slices": 1},
    ]
