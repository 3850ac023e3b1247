"""The name of a study, and where the paths of its file begin."""

from pathlib import Path

import pytest

from ctmar.config import load_config, parse_settings, read_config
from ctmar.config.schema import Config
from ctmar.errors import InputError

STUDY = "study: {runs: [{method: plain}]}\n"


@pytest.mark.parametrize(
    ("file", "name"), [("mine.yaml", "mine"), ("a.b-c_1.yml", "a.b-c_1"), ("config.yaml", "config")]
)
def test_a_study_is_called_as_its_file_is(tmp_path, file, name):
    (tmp_path / file).write_text(STUDY)
    assert load_config(tmp_path / file).study.name == name


def test_a_name_in_the_file_counts_before_that_of_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("study: {name: other, runs: [{method: plain}]}")
    assert load_config(tmp_path / "mine.yaml").study.name == "other"


@pytest.mark.parametrize(
    "name", ["", ".hidden", "-option", "a/b", "../up", "a..b", "my study", "a{b}", "a;rm", "ü", "x" * 65, "a\nb"]
)
def test_what_is_no_name_for_a_folder_is_refused(name):
    with pytest.raises(InputError, match=r"mine\.yaml: 'study.name': expected a name of letters"):
        read_config({"study": {"name": name, "runs": [{"method": "plain"}]}}, ["mine.yaml"])


@pytest.mark.parametrize("name", ["example", "README.md", "index.html"])
def test_what_stands_in_reports_already_is_refused(name):
    with pytest.raises(InputError, match="expected another name"):
        read_config({"study": {"name": name, "runs": [{"method": "plain"}]}}, ["mine.yaml"])


def test_a_file_whose_name_is_no_name_is_told(tmp_path):
    (tmp_path / "my study.yaml").write_text(STUDY)
    with pytest.raises(InputError, match=r"'study\.name': expected a name"):
        load_config(tmp_path / "my study.yaml")


VALUES = {
    "source": {"kind": "dicom_dir", "folder": "dicom"},
    "ingest": {"salt_file": "../salt"},
    "simulation": {"masks": "folder", "mask_folder": "/masks"},
    "study": {"networks": {"a": {"weights": "start.pt"}}, "runs": [{"method": "plain"}]},
}


def paths(config: Config) -> list[Path | None]:
    return [
        config.source.folder,
        config.ingest.salt_file,
        config.simulation.mask_folder,
        config.study.networks["a"].weights,
    ]


def test_every_path_begins_where_the_file_lies():
    found = paths(read_config(VALUES, ["first.yaml", "/studies/one/mine.yaml"]))
    assert list(map(str, found)) == [
        "/studies/one/dicom",
        "/studies/one/../salt",
        "/masks",
        "/studies/one/start.pt",
    ]


def test_a_path_is_absolute_wherever_its_file_was_read_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = paths(read_config(VALUES, ["studies/mine.yaml"]))
    below = f"{tmp_path}/studies"
    assert list(map(str, found)) == [f"{below}/dicom", f"{below}/../salt", "/masks", f"{below}/start.pt"]
    assert paths(read_config(VALUES, [tmp_path / "studies" / "mine.yaml"])) == found


def test_settings_on_the_command_line_begin_in_the_working_directory():
    text = '{"kind": "dicom_dir", "folder": "dicom"}'
    assert parse_settings(Config.model_fields["source"].annotation, text).folder == Path("dicom")
