"""After a kill -9: what was left is found and ended by its number, and nothing else is."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.ctmar.run_folders import description, epoch

from ctmar.cli import main
from ctmar.jobs.orphans import orphaned_processes
from ctmar.jobs.presence import STARTED_BY, STUDIES, is_study_as_started, records
from ctmar.store.atomic import temporary_path
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import read_holder
from ctmar.store.writer import this_writer

SNAKEMAKE = """
import subprocess, sys, time
from pathlib import Path
from ctmar.jobs.presence import announce
announce(Path())
Path(".snakemake/locks").mkdir()
Path(".snakemake/locks/0.input.lock").write_text("a")
subprocess.Popen([sys.executable, "-c", sys.argv[1], "a job of the workflow"])
print("running", flush=True)
time.sleep(600)
"""
SLEEPS = "import time; time.sleep(600)"
SAVES = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: open('saved', 'w') and sys.exit(75)); "
SAVES += "open('ready', 'w'); time.sleep(600)"


def start(folder: Path, job: str = SLEEPS, **environment: str) -> subprocess.Popen:
    """What Snakemake does, as far as this is about it: it makes itself known, locks, and starts a job."""
    line = [sys.executable, "-c", SNAKEMAKE, job]
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    assert process.stdout.readline() == "running\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command of `ctmar`; returns its exit code and what it printed."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ctmar", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return run


@pytest.fixture
def killed(tmp_path):
    """A folder in which a Snakemake was killed while its job ran, and that job."""
    process = start(tmp_path)
    kill(process)
    (job,) = orphaned_processes(tmp_path)
    yield tmp_path, job.process
    for left in orphaned_processes(tmp_path):
        left.process.kill()


def test_while_a_snakemake_lives_nothing_is_touched(tmp_path, command):
    process = start(tmp_path)
    (record,) = records(tmp_path)
    assert read_holder(record).pid == process.pid
    code, printed = command("recover", tmp_path, "--end")
    assert code == 0
    assert f"process {process.pid} on {this_writer().host}: nothing is touched" in printed
    assert (tmp_path / ".snakemake" / "locks" / "0.input.lock").is_file()
    assert orphaned_processes(tmp_path) == []
    kill(process)
    (job,) = orphaned_processes(tmp_path)
    job.process.kill()


def test_what_was_left_is_shown_and_goes_on_until_it_is_to_end(killed, command):
    folder, job = killed
    assert job.cmdline()[-1] == "a job of the workflow"
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPS], cwd=folder)  # somebody's own, in the same folder
    code, printed = command("recover", folder)
    assert code == 0
    assert f"process {job.pid}: {sys.executable}" in printed
    assert str(stranger.pid) not in printed
    assert "ctmar recover --end" in printed.splitlines()[-1]
    assert job.is_running()
    assert (folder / ".snakemake" / "locks").is_dir()
    code, printed = command("recover", folder, "--end")
    assert f"ends: process {job.pid}" in printed
    assert "removed Snakemake's lock" in printed
    assert "`make report`" in printed.splitlines()[-1]
    assert not job.is_running()
    assert not (folder / ".snakemake" / "locks").exists()
    assert list(records(folder)) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert "nothing to recover" in command("recover", folder)[1]


def test_a_snakemake_of_another_folder_keeps_its_jobs(killed, command, tmp_path_factory):
    other = start(tmp_path_factory.mktemp("other"))
    children = psutil.Process(other.pid).children()
    command("recover", killed[0], "--end")
    assert [child.is_running() for child in children] == [True]
    kill(other)
    for child in children:
        child.kill()


def test_a_job_has_time_to_save(tmp_path, command):
    process = start(tmp_path, SAVES)
    deadline = time.monotonic() + 120
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(process)
    command("recover", tmp_path, "--end")
    assert (tmp_path / "saved").exists()


def test_a_job_whose_snakemake_ended_as_it_should_is_an_orphan_too(tmp_path):
    environment = os.environ | {STARTED_BY: str(tmp_path / ".snakemake" / "ctmar" / "gone.json")}
    job = subprocess.Popen([sys.executable, "-c", SLEEPS], env=environment)
    deadline = time.monotonic() + 120
    while not orphaned_processes(tmp_path) and time.monotonic() < deadline:  # until it has replaced its parent's image
        time.sleep(0.01)
    assert [left.process.pid for left in orphaned_processes(tmp_path)] == [job.pid]
    job.kill()
    job.wait()


def test_half_written_files_of_dead_writers_go_and_those_of_the_living_stay(killed, command):
    folder, me = killed[0], this_writer()
    target = folder / "resources" / "pairs" / "train.h5"
    target.parent.mkdir(parents=True)
    dead, living = (temporary_path(target, who) for who in (dataclasses.replace(me, started=0), me))
    for path in (dead, living, target):
        path.touch()
    (elsewhere := temporary_path(folder / "reports" / "paper", dataclasses.replace(me, machine="0123abcd"))).mkdir(
        parents=True
    )
    (elsewhere / "page").touch()
    os.utime(elsewhere, (0, 0))  # a folder, and silent for hours
    assert "removed 2 half-written files or folders" in command("recover", folder, "--end")[1]
    assert sorted(target.parent.iterdir()) == sorted([living, target])
    assert not elsewhere.exists()


def test_a_snakemake_of_another_machine_that_is_heard_of_lives(tmp_path, command):
    record = tmp_path / ".snakemake" / "ctmar" / "node7.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(this_writer(), machine="0" * 8, host="node7"))))
    printed = command("recover", tmp_path)[1]
    assert "on node7: nothing is touched" in printed
    assert "one to three minutes" in printed
    os.utime(record, (0, 0))
    assert "goes on" in command("recover", tmp_path)[1]


SQUEUE = """#!/bin/sh
echo "17|RUNNING|{folder}|equiproj_1b2c|rule_train_wildcards_a|b"
echo "18|PENDING|{folder}|other_1b2c|rule_train"
echo "19|RUNNING|/elsewhere|equiproj_1b2c|rule_train"
"""


def test_jobs_in_slurm_are_known_by_their_name_and_folder(killed, command, monkeypatch, tmp_path_factory):
    folder, programs = killed[0], tmp_path_factory.mktemp("bin")
    for name, text in (
        ("squeue", SQUEUE.format(folder=folder)),
        ("scancel", f'#!/bin/sh\necho "$@" >> {folder}/log\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    printed = command("recover", folder)[1]
    assert "Slurm's job 17 (running): rule_train_wildcards_a|b" in printed
    assert "job 18" not in printed
    command("recover", folder, "--end")
    assert (folder / "log").read_text() == "17\n"
    (programs / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
    kill(start(folder))
    code, printed = command("recover", folder, "--end")  # the folder is freed: a run has one writer, whoever lives
    assert code == 0
    assert "are not seen: no controller" in printed
    assert "removed Snakemake's lock" in printed


def test_clean_removes_checkpoints_of_finished_runs_alone(tmp_path, command):
    folders = [RunFolder(tmp_path / name) for name in ("finished", "begun", "locked")]
    for folder in folders:
        folder.path.mkdir()
        folder.checkpoint.write_bytes(b"x" * 100)
        for path in folder.of_network:
            path.touch()
        folder.write_epochs([epoch()])
        if folder.path.name != "begun":
            folder.write_description(description())
    folders[2].lock.write_text(json.dumps(dataclasses.asdict(this_writer())))
    assert command("clean", tmp_path) == (0, "removed 1 files, 0.0 MB\n")
    assert [folder.checkpoint.exists() for folder in folders] == [False, True, True]
    assert folders[0].weights.exists()
    assert command("clean", tmp_path / "none")[1].startswith(f"ctmar: {tmp_path}/none: expected a folder of runs")


def test_a_job_that_reads_an_edited_configuration_is_told(monkeypatch):
    monkeypatch.setenv(STUDIES, "")
    assert is_study_as_started("b", starts=False)  # a scheduler that passes no environment on: nobody knows
    assert is_study_as_started("a", starts=True)
    assert is_study_as_started("inner", starts=True)  # a workflow that calls this one twice
    assert is_study_as_started("a", starts=False)
    assert is_study_as_started("inner", starts=False)
    assert not is_study_as_started("edited", starts=False)
