"""A training that was killed without a word is given more memory by the Snakemake that tries it again."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from ctmar.jobs.attempts import AttemptsFile

pytestmark = pytest.mark.workflow

# the first training dies as soon as it has written that it started; all else is the real command
KILLING = """#!/bin/bash
real() {{ {python} -m ctmar "$@"; }}
[ "$1" = train-and-evaluate ] || {{ real "$@"; exit; }}
echo "$@" >> "$FAKE/asked"
[ "$(wc -l < "$FAKE/asked")" = 1 ] || {{ real "$@"; exit; }}
{python} -m ctmar "$@" & child=$!
until grep -q start results/small/jobs/*.attempts.jsonl 2>/dev/null; do sleep 0.05; done
kill -9 $child; wait $child
"""


def test_a_kill_raises_memory_and_not_time(finished_study, snakemake, tmp_path, monkeypatch):
    folder, fake = tmp_path / "study", tmp_path / "fake"
    shutil.copytree(finished_study, folder)
    shutil.rmtree(folder / "results" / "small" / "runs")
    finished = sorted((folder / "results" / "small" / "jobs").glob("*.sha256"))[0]
    for path in finished.parent.glob("*.attempts.jsonl"):
        path.unlink()
    fake.mkdir()
    (fake / "ctmar").write_text(KILLING.format(python=sys.executable))
    (fake / "ctmar").chmod(0o755)
    monkeypatch.setenv("FAKE", str(fake))
    environment = {**snakemake.environment()}
    environment["PATH"] = f"{fake}{os.pathsep}{environment['PATH']}"
    monkeypatch.setattr(type(snakemake), "environment", lambda self: environment)
    target = str(finished.relative_to(folder))
    done = snakemake(folder, target, "--force", "--retries", "1", "--rerun-triggers", "mtime")
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    attempts = AttemptsFile.beside(finished).read()
    assert [attempt.outcome for attempt in attempts] == ["vanished", "finished"]
    first, second = (attempt.start.granted for attempt in attempts)
    assert (first.number, second.number) == (1, 2)
    assert second.memory_mb == 2 * first.memory_mb
    assert second.minutes == first.minutes
    asked = (fake / "asked").read_text().splitlines()
    assert f'"memory_mb": {second.memory_mb:.0f}' in asked[1]
    assert json.loads(Path(AttemptsFile.beside(finished).path).read_text().splitlines()[1])["event"] == "start"
