"""Results come in order whatever the number of processes, and a crash costs one file only."""

import os
import platform

import pytest

from ctmar.config import Ingest
from ctmar.datasets.ingest import ingest
from ctmar.datasets.parallel import ordered_map
from ctmar.errors import InputError
from ctmar.store.slices import read_slices
from ctmar.store.tables import read_rows

CRASH = "__import__('os')._exit(9)"


def split(task: str) -> list[str]:
    return [f"[{part}]" for part in task.strip("[]").split(", ")]


def run(tasks: list[str], n_workers: int = 2) -> list[list[object]]:
    """Evaluate expressions in worker processes: `eval` is a function that every fresh process knows."""
    found = list(ordered_map(eval, tasks, n_workers, split, lambda part: ["lost"]))
    assert [task for task, _ in found] == tasks
    return [results for _, results in found]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(n_workers):
    tasks = ["[__import__('time').sleep(0.2), 0]", *(f"[{number}]" for number in range(1, 12))]
    assert run(tasks, n_workers) == [[None, 0], *([number] for number in range(1, 12))]


def test_a_crash_loses_only_the_part_that_crashes():
    tasks = [f"[{number}]" for number in range(14)]
    tasks[1], tasks[6] = f"[10, {CRASH}, 12]", f"[{CRASH}]"
    expected: list[list[object]] = [[number] for number in range(14)]
    expected[1], expected[6] = [10, "lost", 12], ["lost"]
    assert run(tasks) == expected


def test_a_process_that_dies_once_costs_nothing(tmp_path):
    flag = tmp_path / "flag"
    once = f"0 if __import__('pathlib').Path({str(flag)!r}).exists() else open({str(flag)!r}, 'w') and {CRASH}"
    assert run(["[1]", f"[{once}]", "[2]"]) == [[1], [0], [2]]


def test_processes_that_cannot_start_lose_no_file(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nif '--multiprocessing-fork' in sys.argv: os._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(InputError, match="worker processes die when they start"):
        run(["[1]", "[2]"])


CRASHING_DECODER = """
import os
from pydicom.pixels.decoders.base import Decoder
decode = Decoder.as_array
def as_array(self, src, **options):
    if src[:2] == bytes([77, 4]):
        os._exit(11)
    return decode(self, src, **options)
Decoder.as_array = as_array
"""


@pytest.mark.slow
def test_a_file_that_crashes_the_decoder_is_quarantined(write_ct, phantom, tmp_path, monkeypatch):
    for number in range(5):
        phantom[0, 0] = 77 + 4 * 256 - 1024 if number == 2 else -1000
        write_ct(tmp_path / "in" / f"{number}.dcm", number, image_hu=phantom)
    (tmp_path / "sitecustomize.py").write_text(CRASHING_DECODER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    settings = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32)
    outputs = [tmp_path / name for name in ("slices.h5", "quarantine.csv", "catalogue.csv")]
    summary = ingest(tmp_path / "in", *outputs, settings=settings, threads=2)
    assert (summary.n_slices, summary.n_quarantined) == (4, 1)
    assert [record.position_mm for record in read_slices(outputs[0])] == [0, 5, 15, 20]
    (row,) = read_rows(outputs[1], ["file", "reason", "remedy"])
    assert row["reason"].startswith("reading it kills the process")


FAULTS = "__import__('resource').getrusage(0).ru_minflt"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_workers_keep_the_memory_of_an_image_for_the_next():
    images = "len([b'x' * size for size in (2**20, 2**22, 2**22, 2**22, 2**22)])"  # 4,352 pages
    ((before, *_, after),) = run([f"[{FAULTS}, {', '.join([images] * 20)}, {FAULTS}]"])
    assert after - before < 3 * 4352, "images were asked for anew again and again"
