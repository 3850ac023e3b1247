"""Whatever is killed, and whenever: the command of the README goes on, and the tables are those of a whole run.

What is killed has one core and one job for all its trainings, the whole run two cores and jobs of two: one comparison
shows that tables hang neither on kills nor on cores nor on the size of jobs.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from tests.workflow.readmes_command import make_checkout, start
from tests.workflow.tables import assert_same_tables

from ctmar.jobs.presence import STARTED_BY, records
from ctmar.store.atomic import is_leftover
from ctmar.store.run_lock import read_holder

pytestmark = pytest.mark.workflow
N_KILLS = int(os.environ.get("EQUIPROJ_KILLS", "4"))  # 30 take a quarter of an hour on two cores
SEED = int(os.environ.get("EQUIPROJ_KILLS_SEED", "0"))
MOST_OF_A_KIND = -(-N_KILLS // 4)  # of four; else all hit what comes before the trainings
MOST_SECONDS_BETWEEN = min(3, 60 / N_KILLS)  # spread over the study, and shorter than its trainings take
STUDY = Path("results", "small")


@pytest.fixture
def checkout(finished_study, tmp_path) -> Path:
    """A checkout in which all trainings are one job, where the jobs of the whole study have two."""
    return make_checkout(tmp_path / "checkout", finished_study / "resources" / "packages", runs_per_job=10)


def kind_of(process: psutil.Process) -> str | None:
    """What a process of the workflow is; None for the shells between, and for what has ended."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    command = next((word for before, word in pairwise(words) if before.endswith("/ctmar")), None)
    if command is None or words[0].endswith("sh"):
        return None
    return {"train-and-evaluate": "training"}.get(command, "simulator" if "simulate" in command else "writer")


def living(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Every process of the workflow in the folder that a kill can hit."""
    for record in records(folder):
        holder = read_holder(record)
        if holder is not None and psutil.pid_exists(holder.pid):
            yield "snakemake", psutil.Process(holder.pid)
    for process in psutil.process_iter():
        try:
            started_by = process.environ().get(STARTED_BY, "")
        except psutil.Error:
            continue
        kind = kind_of(process) if started_by.startswith(str(folder)) else None
        if kind is not None:
            yield kind, process


def kill_one(folder: Path, chance: random.Random, killed: Counter) -> bool:
    """Kill one process, of the kind that was hit least of all that run; False where there is none to kill now."""
    found = [one for one in living(folder) if killed[one[0]] < MOST_OF_A_KIND]
    plans = all(kind == "snakemake" for kind, _ in found)
    if not found or (plans and (killed["snakemake"] > killed.total() / 4 or chance.random() < 0.99)):
        return False  # mostly wait for its jobs: it plans longer than they take
    fewest = min(killed[kind] for kind, _ in found)
    kind, victim = chance.choice([one for one in found if killed[one[0]] == fewest])
    number = chance.choice((signal.SIGKILL, signal.SIGTERM))
    try:
        victim.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    killed[kind] += 1
    print(f"kill {killed.total()}: {kind} {victim.pid} by {number.name}", flush=True)
    return True


def kill_while_it_runs(process: subprocess.Popen[bytes], folder: Path, chance: random.Random, killed: Counter) -> None:
    """Kill what runs, one after another, until the command ends or all kills are done."""
    due = time.monotonic()
    while process.poll() is None and killed.total() < N_KILLS:
        time.sleep(0.05)
        if time.monotonic() > due and kill_one(folder, chance, killed):
            due = time.monotonic() + chance.uniform(0, MOST_SECONDS_BETWEEN)


def test_killed_again_and_again_on_one_core_it_ends_with_the_same_tables(checkout, finished_study, tmp_path):
    chance, killed, starts, log = random.Random(SEED), Counter(), 0, tmp_path / "terminal.log"
    while killed.total() < N_KILLS:
        process, starts = start(checkout, log, cores=1), starts + 1
        kill_while_it_runs(process, checkout, chance, killed)
        if process.poll() == 0:
            break  # it was quicker than we
        assert starts < 4 * N_KILLS, log.read_text()[-4000:]
    process.wait()  # a Snakemake that lives goes on with what does not need what was killed
    assert not [path for path in (checkout / "results").rglob("*") if path.is_file() and path.stat().st_size == 0]
    if process.returncode:
        last, starts = start(checkout, log, cores=1), starts + 1
        assert last.wait() == 0, log.read_text()[-4000:]
    print(f"{killed.total()} kills ({dict(killed)}), {starts} starts")
    assert killed.total() >= min(N_KILLS, 20)
    assert len(killed) == 4
    assert_same_tables(checkout / STUDY, finished_study / STUDY)
    assert not [path for path in (checkout / "results").rglob(".*") if is_leftover(path)]
