"""Several trainings on one GPU: processes side by side, and many seeds as one batched network."""

import multiprocessing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any

import torch
from benchmarks.gpu_check.measure import rate, take_turns, warm_up
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.seeds import ManySeeds
from benchmarks.gpu_check.settings import GROUP, acdnet, dncnn, real_batch, representative, training
from benchmarks.gpu_check.worker import Settings

from ctmar.config import Network, Training
from ctmar.training.state import start
from ctmar.training.step import training_step

TARGETS = {"acdnet": Target("≥", 3.0, "3 ×"), "dncnn": Target("≥", 10.0, "10 ×")}
LONGEST_WAIT_S = 60.0


def cases(settings: Settings) -> dict[str, tuple[Network, Training]]:
    """ACDNet with the published batch, and the small network with that of the default study."""
    small = {"loss": "masked_mse"} | ({} if settings.quick else {"batch_size": 8})
    return {
        "acdnet": (acdnet(settings.quick), training(settings.device, settings.quick)),
        "dncnn": (dncnn(), training(settings.device, settings.quick, **small)),
    }


def measure(settings: Settings, record: Recorder) -> None:
    """Batched seeds first: it is the cheaper of the two."""
    for name in ("dncnn", "acdnet"):
        record.attempt(f"{name}: many seeds in one network", partial(batched, name, settings, record))
    record.attempt("processes side by side", partial(side_by_side, settings, record))


def batched(name: str, settings: Settings, record: Recorder) -> None:
    """Images per second of one batched network beside one training of one seed, in turns."""
    network, chosen = cases(settings)[name]
    n_seeds = 2 if settings.quick else {"acdnet": 8, "dncnn": 32}[name]
    device = torch.device(settings.device)
    states = [start(representative("plain"), network, chosen, GROUP) for _ in range(n_seeds)]
    batches = [real_batch(settings.bundle, chosen, seed).to(device, channels_last=False) for seed in range(n_seeds)]
    many = ManySeeds([state.network for state in states], chosen)
    stacked = [torch.stack(parts) for parts in zip(*(batch.tensors for batch in batches), strict=True)]
    single = start(representative("plain"), network, chosen, GROUP)
    one = real_batch(settings.bundle, chosen).to(device)
    works = {"one": partial(training_step, single, one, 0), "many": partial(many.step_stacked, stacked)}
    times = take_turns(works, device, settings.by(0.2), most=3 if settings.quick else 30)
    ratios = [n_seeds * alone / together for alone, together in zip(times["one"], times["many"], strict=True)]
    record(f"{name}: one training", [1e3 * chosen.batch_size / value for value in times["one"]], "images/s")
    record(f"{name}: {n_seeds} seeds in one network / one training", ratios, "×", TARGETS[name])


def side_by_side(settings: Settings, record: Recorder) -> None:
    """Processes that train at the same time beside the first of them alone, in windows of some seconds."""
    n_processes, seconds = (2, 0.5) if settings.quick else (8, 4.0)
    context = multiprocessing.get_context("spawn")  # a fork would copy a CUDA context that it cannot use
    barrier, results = context.Barrier(n_processes), context.Queue()
    arguments = (barrier, results, settings.device, settings.quick, settings.bundle, seconds)
    processes = [context.Process(target=train_in_turn, args=(number, *arguments)) for number in range(n_processes)]
    for process in processes:
        process.start()
    rates: dict[tuple[str, bool], list[float]] = {}
    try:
        for _ in range(len(TARGETS) * (n_processes + 1)):
            name, alone, images_per_second = results.get(timeout=LONGEST_WAIT_S)
            rates.setdefault((name, alone), []).append(images_per_second)
    except Empty:
        raise TimeoutError(f"a process of {n_processes} gave no figure within {LONGEST_WAIT_S:g} s") from None
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    for name, target in TARGETS.items():
        (one,) = rates[name, True]
        record(f"{name}: each of {n_processes} processes", rates[name, False], "images/s")
        ratio = sum(rates[name, False]) / one
        record(f"{name}: {n_processes} processes together / one alone", ratio, "×", target)


def train_in_turn(
    number: int, barrier: Barrier, results: Any, device: str, quick: bool, bundle: Path, seconds: float
) -> None:
    """What each process does: for every network, the first trains alone, then all do."""
    torch.set_num_threads(1)
    settings = Settings(device, quick, float("inf"), bundle, bundle, trace=False)
    for name, (network, chosen) in cases(settings).items():
        state = start(representative("plain"), network, chosen, GROUP)
        batch = real_batch(bundle, chosen, number).to(state.device)
        work = partial(training_step, state, batch, 0)
        warm_up(work, state.device)
        for alone in (True, False):
            barrier.wait(LONGEST_WAIT_S)
            if number == 0 or not alone:
                n_steps, taken = rate(work, state.device, seconds)
                results.put((name, alone, n_steps * chosen.batch_size / taken))
        barrier.wait(LONGEST_WAIT_S)
