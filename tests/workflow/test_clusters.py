"""Profiles of clusters with stand-ins for the commands of their schedulers, which really run the jobs."""

import importlib.util
import json
import os
import stat
from pathlib import Path

import pytest

from ctmar.config import Site
from ctmar.errors import InputError

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).resolve().parents[2]
PROFILES = REPOSITORY / "workflow" / "profiles"

# each runs a job in a session of its own, remembers its process, and writes down how it was asked
QSUB = """#!/bin/bash
echo "$@" >> "$FAKE/asked"
n=$(ls "$FAKE" | wc -l); id=$n{suffix}
script="${{@: -1}}"
PBS_JOBID=$id JOB_ID=$n setsid bash "$script" > "$FAKE/$id.out" 2>&1 < /dev/null &
echo $! > "$FAKE/$id.pid"
echo {answer}
"""
QSTAT = """#!/bin/bash
kill -0 "$(cat "$FAKE/${@: -1}"*.pid)" 2>/dev/null
"""
QDEL = """#!/bin/bash
for id; do kill -- -"$(cat "$FAKE/$id"*.pid)"; done
"""
KUBECTL = """#!/usr/bin/env python3
import json, os, subprocess, sys
from pathlib import Path
fake, action = Path(os.environ["FAKE"]), sys.argv[1]
if action == "create":
    job = json.load(sys.stdin)
    name = job["metadata"]["name"]
    with (fake / "asked").open("a") as file:
        file.write(json.dumps(job) + "\\n")
    container = job["spec"]["template"]["spec"]["containers"][0]
    code = "cd '%s'; %s; echo $? > '%s'" % (container["workingDir"], " ".join(container["command"]), fake / name)
    subprocess.Popen(["setsid", "bash", "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
elif action == "get":
    ended = fake / sys.argv[3]
    text = ended.read_text().strip() if ended.is_file() else ""
    kind = {"": None, "0": "Complete"}.get(text, "Failed")
    print(json.dumps({"status": {"conditions": [{"type": kind, "status": "True"}] if kind else []}}))
"""
COMMANDS = {
    "pbs": {"qsub": QSUB.format(suffix=".server", answer="$id"), "qstat": QSTAT, "qdel": QDEL},
    "sge": {"qsub": QSUB.format(suffix="", answer="$n"), "qstat": QSTAT, "qdel": QDEL},
    "kubernetes": {"kubectl": KUBECTL},
}
SITE = (
    "{partition: long, account: lab, container: 'docker://registry/equiproj:1', volume_claim: c, volume_path: /shared}"
)


@pytest.fixture(params=COMMANDS)
def cluster(request, tmp_path, monkeypatch):
    """The name of a profile whose scheduler answers, and the folder in which it keeps what it was asked."""
    programs, fake = tmp_path / "bin", tmp_path / "fake"
    programs.mkdir()
    fake.mkdir()
    for name, text in COMMANDS[request.param].items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "site.yaml").write_text(SITE)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("EQUIPROJ_SITE", str(tmp_path / "site.yaml"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return request.param, fake


def test_a_study_goes_on_there_and_a_failed_job_is_one(copied_study, snakemake, cluster):
    (name, fake), folder = cluster, copied_study
    profile = ("--workflow-profile", str(PROFILES / name), "--jobs", "2", "--latency-wait", "5", "--retries", "0")
    quickly = ("--seconds-between-status-checks", "1")
    again = ("--forcerun", "evaluate_references", "--until", "evaluate_references")
    on_cluster = type(snakemake)(where=(*profile, *quickly))
    done = on_cluster(folder, *again)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    asked = (fake / "asked").read_text()
    assert len(asked.splitlines()) == 1
    if name == "kubernetes":
        (job,) = map(json.loads, asked.splitlines())
        pod = job["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == "registry/equiproj:1"
        assert pod["containers"][0]["resources"]["limits"]["memory"].endswith("M")
        assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "c"}
    else:
        assert "-q long" in asked
        assert ("-A lab" if name == "pbs" else "-P lab") in asked
        assert "walltime=" in asked or "h_rt=" in asked
    for pairs in folder.glob("resources/pairs/*/test.h5"):
        pairs.write_bytes(b"no pairs")
    broken = on_cluster(folder, *again, "--rerun-triggers", "params")
    assert broken.returncode != 0
    assert len((fake / "asked").read_text().splitlines()) == 2
    assert "not a readable HDF5 file" in (folder / "logs" / "small" / "evaluate_references.log").read_text()


def scheduler():
    spec = importlib.util.spec_from_file_location("scheduler", PROFILES / "schedulers" / "scheduler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROPERTIES = {
    "rule": "train",
    "threads": 4,
    "resources": {"mem_mb": 10000, "runtime": 90, "gpu": 2, "gpu_model": "h200", "slurm_partition": "a b"},
}


def test_pbs_and_grid_engine_are_asked_for_what_the_job_needs():
    ask = scheduler().request
    assert ask("pbs", PROPERTIES, Path("/out")) == [
        *("-l", "select=1:ncpus=4:mem=10000mb:ngpus=2:gpu_model=h200", "-l", "walltime=01:30:00"),
        *("-N", "equiproj-train", "-j", "oe", "-o", "/out", "-r", "n", "-q", "a b"),
    ]
    sge = " ".join(ask("sge", PROPERTIES, Path("/out")))
    assert "-pe smp 4 -l h_vmem=2500M,gpu=2,gpu_type=h200 -l h_rt=01:30:00 -l s_rt=5280" in sge


def test_a_job_that_left_no_exit_code_has_failed(tmp_path, monkeypatch):
    module = scheduler()
    (tmp_path / "qstat").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "qstat").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "SECONDS_FOR_THE_FILE_SYSTEM", 0.0)
    monkeypatch.chdir(tmp_path)
    assert module.status("pbs", "7.server") == "failed"
    (tmp_path / ".snakemake" / "cluster").mkdir(parents=True)
    (tmp_path / ".snakemake" / "cluster" / "7.server.exit").write_text("0\n")
    assert module.status("pbs", "7.server") == "success"
    (tmp_path / "qstat").write_text("#!/bin/sh\nexit 0\n")
    assert module.status("pbs", "8.server") == "running"


def test_kubernetes_needs_an_image_and_a_volume():
    spec = importlib.util.spec_from_file_location("pods", PROFILES / "kubernetes" / "pods.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(InputError, match="volume_claim"):
        module.manifest(PROPERTIES, Path("job.sh"), Site(container="a"))
    site = Site(container="a", volume_claim="c", volume_path="/shared")
    job = module.manifest(PROPERTIES, Path("job.sh"), site)
    assert job["spec"]["activeDeadlineSeconds"] == 5400
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": 4, "memory": "10000M", "nvidia.com/gpu": 2}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_profile_plans_the_small_study(snakemake, tmp_path, name):
    done = snakemake(tmp_path, "--dry-run", "--workflow-profile", str(PROFILES / name))
    assert done.returncode == 0, done.stderr
