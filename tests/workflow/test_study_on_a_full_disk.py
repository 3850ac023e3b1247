"""A disk that fills up under the study: one line says so, nothing finished is lost, and with room it goes on."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.workflow.readmes_command import make_checkout, start
from tests.workflow.tables import assert_same_tables

pytestmark = pytest.mark.workflow
KILOBYTES = (3000, 65536)  # the study needs between 5 and 6 MB


def mount(folder: Path, kilobytes: int, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={kilobytes}k"]), "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A folder with a file system of its own that is nearly full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0 or not mount(folder, KILOBYTES[0]):
        pytest.skip("only root may mount a small file system, and not in every container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def finished_files(checkout: Path) -> dict[Path, int]:
    """When the files of trained and measured runs were written."""
    return {path: path.stat().st_mtime_ns for path in checkout.glob("results/small/runs/**/weights.pt")}


def test_it_says_so_and_goes_on_when_there_is_room(small_disk, finished_study, tmp_path):
    checkout = make_checkout(small_disk / "checkout", finished_study / "resources" / "packages")
    for kilobytes in KILOBYTES:
        assert mount(small_disk, kilobytes, "remount")
        before, log = finished_files(checkout), tmp_path / f"{kilobytes}.log"
        code = start(checkout, log).wait()
        printed = log.read_text()
        assert {path: written for path, written in finished_files(checkout).items() if path in before} == before
        if code == 0:
            break
        # whoever meets it first: a command of ours, which names its file; or a shell, tee or Snakemake itself
        assert re.search(r"No space left on device|\.h5: expected about .+ of free disk", printed), printed[-3000:]
        ours = [line for line in printed.splitlines() if line.startswith("ctmar: ") and "No space left" in line]
        assert all(
            re.search(r"No space left on device: '.+'|/\S+: .*No space left on device", line) for line in ours
        ), ours
        assert "ctmar/" not in "".join(re.findall(r'File "(.*)"', printed)), printed[-3000:]  # no traceback of ours
        print(f"{kilobytes} kB:", *ours, sep="\n  ")
    assert code == 0, printed[-4000:]
    assert kilobytes == KILOBYTES[-1]  # where it was full, it failed
    assert_same_tables(checkout / "results" / "small", finished_study / "results" / "small")
