"""Reader processes: the same batches in the same order, however they start; and what happens when one dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import pytest
import torch

from ctmar.errors import InputError
from ctmar.training.batch_readers import ReaderDiedError, read_batches
from ctmar.training.patches import PatchSampler


def sampler_of(path: Path) -> PatchSampler:
    return PatchSampler(path, 2, 16, seed=0)


def same(one, other) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.tensors, other.tensors, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_batches_do_not_depend_on_the_readers(pair_files, start_method):
    sampler = sampler_of(pair_files[0])
    here = [sampler.batch(step) for step in range(3, 15)]
    for n_processes in (0, 1, 3) if start_method == "fork" else (2,):
        with read_batches(sampler, range(3, 15), n_processes, start_method) as batches:
            ahead = list(batches)
        assert len(ahead) == 12
        assert all(same(*pair) for pair in zip(here, ahead, strict=True))


def test_several_readers_of_one_file_at_once(pair_files):
    """Forks of a process that holds the file open, reads it, and whose other thread is busy."""
    sampler = sampler_of(pair_files[0])
    here = [sampler.batch(step) for step in range(20)]
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [sampler_of(pair_files[0]).batch(0) for _ in iter(stop.is_set, True)])
    busy.start()
    try:
        with (
            read_batches(sampler, range(20), 2, "fork") as one,
            read_batches(sampler, range(20), 2, "fork") as other,
        ):
            for expected, first, second in zip(here, one, other, strict=True):
                assert same(expected, first)
                assert same(expected, second)
    finally:
        stop.set()
        busy.join()


def test_leaving_early_ends_the_readers(pair_files):
    with read_batches(sampler_of(pair_files[0]), range(10_000), 2, "fork") as batches:
        next(batches)
    assert multiprocessing.active_children() == []


def test_a_dying_reader_is_one_clear_error(pair_files):
    with read_batches(sampler_of(pair_files[0]), range(10_000), 2, "fork") as batches:
        next(batches)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(ReaderDiedError, match=r"^training.reader_processes: one of 2 reader processes died"):
            list(batches)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("n_processes", [0, 2])
def test_a_damaged_file_is_one_line(write_pair_file, tmp_path, n_processes):
    path = write_pair_file(tmp_path / "pairs.h5")
    with h5py.File(path) as file:
        stored = file["LI_CT"].id.get_chunk_info_by_coord((4, 0, 0))
    with path.open("r+b") as raw:
        raw.seek(stored.byte_offset)
        raw.write(bytes(stored.size))
    with (
        read_batches(sampler_of(path), range(6), n_processes, "fork") as batches,
        pytest.raises(InputError, match=r"pairs.h5: .*entry 4: damaged") as error,
    ):
        list(batches)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_readers_end_with_a_killed_training_process(pair_files):
    code = (
        "import multiprocessing, sys, time\n"
        "from pathlib import Path\n"
        "from ctmar.training.patches import PatchSampler\n"
        "from ctmar.training.batch_readers import read_batches\n"
        "with read_batches(PatchSampler(Path(sys.argv[1]), 2, 16, seed=0), range(10_000), 2, 'fork') as batches:\n"
        "    next(batches)\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, pair_files[0]], stdout=subprocess.PIPE, text=True)
    readers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(readers) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 50
    while any(is_running(pid) for pid in readers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_running(pid) for pid in readers)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_whole_file_is_not_loaded_when_it_does_not_fit(pair_files, monkeypatch):
    sampler = PatchSampler(pair_files[0], 2, 16, seed=0, cache_bytes=0)
    monkeypatch.setattr(sampler._file, "read_pair", lambda *_: pytest.fail("a whole pair was read"))
    assert same(sampler.batch(3), sampler_of(pair_files[0]).batch(3))
