"""`ctmar ingest` as a user sees it: a bar on a terminal, lines elsewhere, one line for a mistake."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-c", "from ctmar.cli import main; main()", "ingest"]
SETTINGS = "{image_size: 64, pixel_mm: 2.0, minimum_rows: 32}"


@pytest.fixture
def arguments(write_ct, tmp_path) -> list[str]:
    for number in range(5):
        write_ct(tmp_path / "in" / f"{number}.dcm", number)
    names = {"--output": "s.h5", "--quarantine": "q.csv", "--catalogue": "c.csv", "--thumbnails": "t.npz"}
    options = [text for option, name in names.items() for text in (option, str(tmp_path / name))]
    return [*COMMAND, str(tmp_path / "in"), *options, "--settings", SETTINGS]


def on_a_terminal(command: list[str]) -> tuple[int, str]:
    """Exit code and what was shown on a terminal of 100 columns."""
    shown, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stderr=terminal, stdout=terminal, env=environment) as process:
        os.close(terminal)
        text = b""
        while True:
            try:
                part = os.read(shown, 65536)
            except OSError:  # the other end is closed
                break
            text += part
    os.close(shown)
    return process.returncode, text.decode()


def test_a_terminal_shows_a_bar(arguments):
    code, text = on_a_terminal(arguments)
    assert code == 0
    assert "━" in text
    assert "5/5" in text
    assert "5 slices of 1 patients kept, from 1 series in 5 files; 0 files or slices left out" in " ".join(text.split())


def test_a_log_gets_lines_and_all_files_are_there(arguments, tmp_path):
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert "ingest: 5/5 files read" in done.stderr
    assert "ingest: 5/5 slices" in done.stderr
    assert "━" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"in", "s.h5", "q.csv", "c.csv", "t.npz"}


def test_a_mistake_is_one_line(arguments, tmp_path):
    done = subprocess.run([*COMMAND, str(tmp_path / "gone"), *arguments[5:]], capture_output=True, text=True)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert f"{tmp_path / 'gone'}: folder not found" in line


def peak_megabytes(folder: Path, out: Path) -> float:
    """Memory of the largest process of the command that reads a folder with two processes."""
    # the kernel's count of this process would begin with the size of the one that tests run in
    script = (
        "import re, resource; from ctmar.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "own = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read()).group(1))\n"
        "print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"
    )
    command = [sys.executable, "-c", script, "ingest", str(folder), "--output", f"{out}.h5", "--quarantine"]
    command += [f"{out}.csv", "--thumbnails", f"{out}.npz", "--threads", "2", "--settings"]
    settings = "{image_size: 416, minimum_rows: 32, maximum_slices_per_patient: 1000}"
    done = subprocess.run([*command, settings], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux for the memory of a process")
def test_memory_does_not_grow_with_the_number_of_slices(write_ct, tmp_path):
    """From 40 to 120 slices the images grow by 55 MB, the largest process by what waits to be written at most."""
    random = np.random.default_rng(0)
    body = np.where(np.hypot(*np.mgrid[-1:1:200j, -1:1:200j]) < 0.8, 0, -1000)
    for number in range(120):
        image_hu = np.round(body + random.normal(scale=20, size=body.shape))
        for folder in ("many", "few") if number < 40 else ("many",):
            write_ct(tmp_path / folder / f"{number}.dcm", number, image_hu)
    few, many = (peak_megabytes(tmp_path / name, tmp_path / "out") for name in ("few", "many"))
    assert many - few < 20
    assert many < 300
