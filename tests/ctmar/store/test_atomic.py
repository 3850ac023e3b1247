"""A file that cannot be written is refused before the work, and nothing is made."""

import os
from pathlib import Path

import pytest

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path, check_target


def test_a_target_in_a_folder_that_is_yet_to_be_made(tmp_path: Path, monkeypatch):
    check_target(tmp_path / "new" / "deep" / "a.txt")
    monkeypatch.chdir(tmp_path)
    check_target("a.txt")
    assert not list(tmp_path.iterdir())


def test_a_folder_or_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for target, message in (
        ("folder", "folder: expected a file to write, found a folder"),
        ("file/deep/a.txt", "expected a folder at .*file, found a file"),
    ):
        with pytest.raises(InputError, match=message), atomic_path(tmp_path / target):
            raise AssertionError("the work must not start")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_that_is_read_only(tmp_path: Path, monkeypatch):
    # root may write anywhere, so the answer of the system is given here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match=r"a\.txt: expected a folder that can be written to, found .* read-only"):
        check_target(tmp_path / "a.txt")


def test_a_target_that_is_read_by_the_same_work(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"a\.h5: expected a file of its own to write"):
        check_target(tmp_path / "folder" / ".." / "a.h5", tmp_path / "b.h5", tmp_path / "a.h5")
    check_target(tmp_path / "c.h5", tmp_path / "b.h5", tmp_path / "a.h5")
