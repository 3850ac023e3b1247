"""Does a study of thousands of runs join? The runs of a finished study, multiplied.

    python benchmarks/many_runs.py results/config --n-runs 5000

Each run gets a folder of its own with settings of its own (λ⊥ and seed), hard links to its tables, and a changed
run.json: what `ctmar summarise` reads is real, and as much as after that many trainings. Printed are the length of the
folders on one command line beside what Linux allows in one argument, and time and peak memory of `summarise`. How long
such a study takes to plan: planning_speed.py.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LIMIT = 128 * 1024  # bytes of one argument, MAX_ARG_STRLEN of Linux
N_WEIGHTS = 50
LINKED = ("slices.csv", "model.json", "metrics.jsonl", "weights.pt", "examples.npz")


def multiply(study: Path, n_runs: int, target: Path) -> Iterator[Path]:
    """Make the folders of ``n_runs`` runs: the plain ones, and projections of growing weight."""
    found = {}
    for path in sorted((study / "runs").rglob("run.json")):
        run = json.loads(path.read_text())
        found.setdefault(run["run"]["method"], (path.parent, run))
    n_seeds = -(-n_runs // (N_WEIGHTS + 1))
    settings = [("plain", "none", 0.0), *(("projection", "frobenius", 10 ** (k / 10 - 6)) for k in range(N_WEIGHTS))]
    for (method, norm, weight), seed in itertools.islice(itertools.product(settings, range(n_seeds)), n_runs):
        source, description = found[method]
        folder = target / "runs" / f"dncnn/{method},norm={norm},lam_perp={weight:g}/seed-{seed}"
        folder.mkdir(parents=True)
        for name in LINKED:
            os.link(source / name, folder / name)
        changed = description["run"] | {"norm": norm, "lam_perp": weight, "seed": seed}
        (folder / "run.json").write_text(json.dumps(description | {"run": changed}))
        yield folder


def timed(command: list[str]) -> str:
    """Run a command; gives its time and the peak memory of the largest process so far."""
    begin = time.monotonic()
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} …: {done.stderr[-2000:]}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return f"{time.monotonic() - begin:.1f} s, {peak:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="results of a finished study with plain and projection runs")
    parser.add_argument("--n-runs", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.study.parent) as name:
        target = Path(name)
        folders = list(multiply(options.study, options.n_runs, target))
        (target / "runs.txt").write_text("".join(f"{folder}\n" for folder in folders))
        length = sum(len(str(folder)) + 1 for folder in folders)
        print(f"{len(folders):,} runs: their folders are {length:,} bytes, and one argument may have {LIMIT:,}")
        summarise = ["ctmar", "summarise", f"@{target}/runs.txt", "--output", f"{target}/summary"]
        data = ["--references", f"{options.study}/references/slices.csv", "--cost", f"{options.study}/cost.csv"]
        print(f"ctmar summarise: {timed([*summarise, *data])}")
        n_models = len((target / "summary" / "models.csv").read_text().splitlines()) - 1
        n_written = len((target / "summary" / "runs.csv").read_text().splitlines()) - 1
        print(f"summary: {n_models} settings, {n_written:,} runs")


if __name__ == "__main__":
    main()
