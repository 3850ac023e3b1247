"""Pairs on a disk of the node: the same bytes, gone at the end, and a reason where it does not work."""

import shutil
from pathlib import Path

import pytest

from ctmar.errors import InputError
from ctmar.jobs import scratch
from ctmar.jobs.one_run import JobFiles
from ctmar.jobs.scratch import staged


@pytest.fixture
def files(tmp_path):
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for name in ("train.h5", "train-0.h5", "validation.h5", "test.h5", "signals.h5"):
        (pairs / name).write_bytes(name.encode() * 100)
    (pairs / "split.csv").write_text("fold,patient\n")
    return JobFiles(pairs, pairs / "split.csv", pairs / "signals.h5", tmp_path / "runs", tmp_path / "finished")


def test_the_pairs_their_shards_and_the_signals_are_copied_and_removed(files, tmp_path):
    node = tmp_path / "node"
    node.mkdir()
    with staged(files, node) as near:
        assert near.pairs.parent == node
        assert near.signals == near.pairs / "signals.h5"
        assert (near.split, near.runs) == (files.split, files.runs)
        copied = {path.name: path.read_bytes() for path in near.pairs.iterdir()}
        assert copied == {path.name: path.read_bytes() for path in files.pairs.glob("*.h5")}
    assert not list(node.iterdir())
    with pytest.raises(ZeroDivisionError), staged(files, node):
        raise ZeroDivisionError
    assert not list(node.iterdir())


def test_without_scratch_everything_stays_where_it_is(files):
    with staged(files, None) as near:
        assert near == files


def test_a_folder_that_is_not_there_says_so(files):
    missing = Path("/TMPDIR is not set on this node")
    with pytest.raises(InputError, match="TMPDIR is not set on this node"), staged(files, missing):
        pass


def test_a_small_disk_and_a_bad_copy_are_faults_of_the_machine(files, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    with monkeypatch.context() as small:
        small.setattr(scratch.shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(OSError, match="free disk"), staged(files, tmp_path):
            pass
    monkeypatch.setattr(scratch.shutil, "copyfile", lambda original, copy: copy.write_bytes(b"other"))
    with pytest.raises(OSError, match="differs"), staged(files, tmp_path):
        pass
