"""A file that cannot be written is refused before the work, and nothing is made."""

import dataclasses
import os
from pathlib import Path

import pytest

from ctmar.errors import InputError
from ctmar.store.atomic import atomic_path, check_target, is_leftover, remove_leftovers, temporary_path
from ctmar.store.writer import this_writer


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


def test_the_temporary_name_tells_who_writes(tmp_path: Path):
    with atomic_path(tmp_path / "pairs.h5") as temporary:
        writer = this_writer()
        assert temporary.name.startswith(".pairs~")
        assert temporary.suffix == ".h5"
        for part in (writer.host, writer.machine, str(writer.pid)):
            assert part in temporary.name.split("~")
        temporary.touch()
        assert not is_leftover(temporary)  # its writer lives


def test_only_what_dead_writers_left_is_removed(tmp_path: Path):
    target, me = tmp_path / "checkpoint.pt", this_writer()
    dead = dataclasses.replace(me, started=0)
    elsewhere = dataclasses.replace(me, machine="0123abcd")
    silent = dataclasses.replace(elsewhere, pid=7)
    paths = {who: temporary_path(target, who) for who in (me, dead, elsewhere, silent)}
    for path in paths.values():
        path.touch()
    os.utime(paths[silent], (0, 0))
    others = [tmp_path / ".checkpoint.99.pt", tmp_path / ".checkpoint~notes.pt", target]
    for path in others:
        path.touch()
    remove_leftovers(target)
    assert set(tmp_path.iterdir()) == {paths[me], paths[elsewhere], *others}


@pytest.mark.parametrize("name", ["a", "a.txt", "a~b.tar.gz", "Jörg (2).pt", ".hidden"])
def test_a_leftover_is_known_by_any_name(tmp_path: Path, name: str):
    dead = dataclasses.replace(this_writer(), started=0, job="4711_server")
    path = temporary_path(tmp_path / name, dead)
    path.touch()
    assert is_leftover(path)
    remove_leftovers(tmp_path / name)
    assert not path.exists()
