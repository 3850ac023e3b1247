"""What mirroring a study to MLflow while it trains costs the trainings.

    python benchmarks/mirror_cost.py                          # two trainings at a time, MLflow's own database
    python benchmarks/mirror_cost.py --at-once 16 --server    # sixteen, and a real server

First the share of a training that goes into what is written after each epoch so that it can be followed: the metrics
and the facts about the machine, timed inside the training. Then, in rounds that follow one another, as many trainings
as asked for at a time, without a follower and with one, and the ratio of their times; and whether MLflow holds every
epoch of every run in the end. Trainings are those of the default study, network and steps, on synthetic pairs.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from reading_speed import write_synthetic

import ctmar.training.loop as loop
from ctmar.config import Config, Run, RunSettings
from ctmar.store.run_folder import RunFolder

DEFAULT = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
SECONDS_FOR_THE_LAST_LOOK = 300


def configuration(n_runs: int, epochs: int) -> Config:
    """The default study's network and steps, as many seeds as runs."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    study = {**values["study"], "name": "mirrored", "seeds": list(range(n_runs)), "runs": [{"method": "plain"}]}
    training = {**values["training"], "epochs": epochs}
    return Config.model_validate({"study": study, "training": training})


def share_of_an_epoch(pairs: Path, folder: Path, config: Config) -> float:
    """Seconds for metrics and facts about the machine as a share of the training's seconds in steps and validation."""
    spent = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal spent
            begin = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent += time.perf_counter() - begin

        return call

    (run, *_), (network, *_) = config.study.expand(), config.study.networks.values()
    RunFolder.write_epochs = timed(RunFolder.write_epochs)  # type: ignore[method-assign]
    loop.system_facts = timed(loop.system_facts)
    begin = time.perf_counter()
    loop.train(pairs, pairs, RunSettings(run=run, network=network, training=config.training), RunFolder(folder))
    return spent / (time.perf_counter() - begin - spent)


def options_of(run: Run, results: Path) -> tuple[str | Path, ...]:
    """What `ctmar train` is told of one run."""
    folder = results / "runs" / run.slug / f"seed-{run.seed}"
    return "--run", json.dumps(run.model_dump(mode="json")), "--output", folder


def train_all(pairs: Path, results: Path, config: Config, *, with_follower: bool) -> float:
    """Train all runs at once; seconds until the last one ends."""
    (results / "mlflow").mkdir(parents=True)
    (results / "config.yaml").write_text(json.dumps(config.published()), encoding="utf-8")
    ctmar = [sys.executable, "-m", "ctmar"]
    begin = time.monotonic()
    network = json.dumps(next(iter(config.study.networks.values())).model_dump(mode="json"))
    settings = ("--network", network, "--settings", config.training.model_dump_json())
    trainings = [
        subprocess.Popen(
            [*ctmar, "train", pairs, pairs, *settings, *options_of(run, results)],
            stderr=subprocess.DEVNULL,
        )
        for run in config.study.expand()
    ]
    # it ends when the process that it follows does: one that stands for Snakemake
    stand_in = subprocess.Popen(["sleep", "infinity"])
    follow = [*ctmar, "sync", str(results), "--follow", str(stand_in.pid)]
    follower = subprocess.Popen(follow) if with_follower else None
    codes = [training.wait() for training in trainings]
    seconds = time.monotonic() - begin
    stand_in.kill()
    stand_in.wait()
    if follower is not None:
        follower.wait(SECONDS_FOR_THE_LAST_LOOK)
    if any(codes):
        raise SystemExit(f"trainings ended with {codes}")
    return seconds


def epochs_in_mlflow(uri: str) -> list[int]:
    """How many epochs MLflow holds of each run."""
    client = MlflowClient(uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, filter_string="tags.`mlflow.parentRunId` != ''", max_results=1000)
    return sorted(len(client.get_metric_history(run.info.run_id, "training/loss")) for run in runs)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """An MLflow server of its own on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/artifacts"]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(120):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=2, help="trainings at a time")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", action="store_true", help="mirror to a server in place of a database file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder, pairs = Path(name), Path(name, "pairs.h5")
        write_synthetic(pairs, size=128, n_pairs=24, patient="synthetic")
        share = share_of_an_epoch(pairs, folder / "alone", configuration(1, 4))
        print(f"written after each epoch to be followed: {100 * share:.2f} % of a training", flush=True)
        uri = running.enter_context(server(folder)) if options.server else None
        config, ratios = configuration(options.at_once, options.epochs), []
        for number in range(options.rounds):
            if uri is not None:
                os.environ["MLFLOW_TRACKING_URI"] = uri
            without, following = (
                train_all(pairs, folder / f"{number}-{kind}", config, with_follower=kind == "with")
                for kind in ("without", "with")
            )
            ratios.append(following / without)
            print(f"{without:.1f} s without a follower, {following:.1f} s with one: {ratios[-1]:.3f}", flush=True)
        held = epochs_in_mlflow(uri or f"sqlite:///{folder}/{options.rounds - 1}-with/mlflow/mlflow.db")
        print(f"{options.at_once} at a time: {statistics.median(ratios):.3f} × the time without (median)")
        print(f"epochs in MLflow of {len(held)} runs: {min(held)} to {max(held)} of {options.epochs}")


if __name__ == "__main__":
    main()
