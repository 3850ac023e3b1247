"""The plan of a large study beside a bare DAG of as many jobs as it has trainings, in one run.

    python benchmarks/planning_speed.py                       # 100, 1,000 and 5,000 trainings
    python benchmarks/planning_speed.py --n-runs 1500 --run   # and run every job, with commands that only make files

A bare job has one output, no input and no parameter, and one rule asks for all of them. Each plan is a process of
`snakemake --dry-run` by itself; in every round bare and study follow one another, and of the rounds the least processor
time counts, because a plan is one thread and other work on the machine lengthens the time on the clock. A study trains
one run in each job, as many jobs as trainings, or ten, which is the default.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES = (100, 1000, 5000)
N_SETTINGS = 50
BARE = """
rule all:
    input: expand("made/{{job}}", job=range({n}))
rule one:
    output: "made/{{job}}"
    shell: "touch {{output}}"
"""
# stands for `ctmar`: makes what the options name, and all tables of the summary
STAND_IN = """#!/bin/sh
command=$1; shift
case $command in
summarise) touch {tables};;
evaluate-references) mkdir -p "$2"; : > "$2/slices.csv"; : > "$2/examples.npz";;
acquire) mkdir -p "$1";;
esac
while [ $# -gt 0 ]; do
case $1 in
--finished|--output|--catalogue|--thumbnails|--quarantine|--model-card|--dataset-card|--description|--inputs)
case $2 in *.*) : > "$2";; *) mkdir -p "$2";; esac;;
esac
shift
done
"""


class Cost(NamedTuple):
    """What a process took."""

    processor_s: float
    clock_s: float
    peak_mb: float


def study_file(folder: Path, n_runs: int, runs_per_job: int) -> Path:
    """A configuration of as many trainings: a plain network and penalties of growing weight, with several seeds."""
    weights = [10 ** (k / 10 - 6) for k in range(N_SETTINGS - 1)]
    runs = [{"method": "plain"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": weights}]
    study = {"seeds": list(range(n_runs // N_SETTINGS)), "runs": runs, "runs_per_job": runs_per_job}
    path = folder / f"many-{n_runs}-{runs_per_job}.yaml"
    path.write_text(yaml.safe_dump({"study": study}))
    return path


def bare_workflow(folder: Path, n_jobs: int) -> Path:
    """A workflow of as many jobs that need nothing."""
    path = folder / f"bare-{n_jobs}.smk"
    path.write_text(BARE.format(n=n_jobs))
    return path


def snakemake(snakefile: Path, folder: Path, *arguments: str | Path) -> list[str]:
    """The command line, without a profile."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--directory", folder, "--cores", "2"]
    return [str(part) for part in (*command, "--workflow-profile", "none", "--quiet", "all", *arguments)]


def measured(command: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command by itself and read what it took.

    Raises:
        SystemExit: it failed.
    """
    # a process in between, whose only child it is: peak memory is that of the largest child so far
    reader = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=2); "
    reader += "use = resource.getrusage(resource.RUSAGE_CHILDREN); "
    reader += "print(use.ru_utime + use.ru_stime, use.ru_maxrss / 1024); sys.exit(done.returncode)"
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", reader, *command], env=environment, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])} …: {done.stderr[-2000:]}")
    processor_s, peak_mb = map(float, done.stdout.split())
    return Cost(processor_s, time.monotonic() - begin, peak_mb)


def compare(n_runs: int, n_rounds: int, folder: Path) -> str:
    """Lines of the table for one size."""
    own = REPOSITORY / "workflow" / "Snakefile"
    plans = {
        "bare DAG": snakemake(bare_workflow(folder, n_runs), folder, "--dry-run"),
        **{
            f"study, {n} in a job": snakemake(own, folder, "--configfile", study_file(folder, n_runs, n), "--dry-run")
            for n in (1, 10)
        },
    }
    rounds = [{name: measured(command) for name, command in plans.items()} for _ in range(n_rounds)]
    least = {name: min((one[name] for one in rounds), key=lambda cost: cost.processor_s) for name in plans}
    bare = least["bare DAG"]
    return "\n".join(
        f"{n_runs:7,}  {name:18}  {cost.processor_s:9.2f}  {cost.clock_s:7.2f}  {cost.peak_mb:7.0f}"
        f"  {cost.processor_s / bare.processor_s:5.2f}"
        for name, cost in least.items()
    )


def run_all(n_runs: int, folder: Path) -> str:
    """Run every job of a study with one training in each, with a stand-in for `ctmar`; what that took."""
    programs = folder / "programs"
    programs.mkdir()
    study = ("--configfile", study_file(folder, n_runs, 1))
    command = snakemake(REPOSITORY / "workflow" / "Snakefile", folder, *study)
    plan = subprocess.run([*command, "--dry-run", "--quiet", "progress"], text=True, capture_output=True).stdout
    tables = sorted(set(re.findall(r"results/[^/ ]+/summary/[\w.]+", plan)))
    (programs / "ctmar").write_text(STAND_IN.format(tables=" ".join(tables)))
    (programs / "ctmar").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    cost = measured(command, environment)
    n_lines = len((folder / f"results/many-{n_runs}-1/runs.txt").read_text().splitlines())
    return f"{n_lines:,} jobs of one training each ran to the report in {cost.clock_s:.0f} s, {cost.peak_mb:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-runs", type=int, nargs="+", default=list(SIZES), help=f"multiples of {N_SETTINGS}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", action="store_true", help="run the largest, too, with a stand-in for `ctmar`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # what later plans find made: digests of the code, and what torch counts of the network
        study = ("--configfile", study_file(folder, N_SETTINGS, 1))
        measured(snakemake(REPOSITORY / "workflow" / "Snakefile", folder, *study, "--dry-run"))
        print("   runs  plan                processor  clock/s  peak/MB  ratio")
        for n_runs in options.n_runs:
            print(compare(n_runs, options.rounds, folder), flush=True)
        if options.run:
            print(run_all(max(options.n_runs), folder))


if __name__ == "__main__":
    main()
