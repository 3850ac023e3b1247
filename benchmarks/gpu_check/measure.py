"""Timing: events on a GPU, the clock elsewhere; everything that is compared takes turns."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

Work = Callable[[], object]
STEPS_BEFORE = 3  # allocations, cuDNN's choice, the power iteration's first blocks


def milliseconds_of(work: Work, device: torch.device) -> float:
    """Time of one call, on a GPU from its first kernel to its last."""
    if device.type != "cuda":
        begin = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - begin)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def warm_up(work: Work, device: torch.device, n_steps: int = STEPS_BEFORE) -> None:
    """Call ``work`` a few times and wait for it."""
    for _ in range(n_steps):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize()


def take_turns(
    works: Mapping[str, Work], device: torch.device, until: float, least: int = 3, most: int = 60
) -> dict[str, list[float]]:
    """Milliseconds of every work in rounds, in an order that moves on with each round.

    Args:
        works: what is compared; each is warmed up first.
        device: where they run.
        until: no round starts after this moment [s, `time.monotonic`], but ``least`` are made in any case.
        least: rounds at least.
        most: rounds at most.
    """
    for work in works.values():
        warm_up(work, device)
    names = list(works)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(most):
        if number >= least and time.monotonic() >= until:
            break
        for turn in range(len(names)):
            name = names[(turn + number) % len(names)]
            times[name].append(milliseconds_of(works[name], device))
    return times


def rate(work: Work, device: torch.device, seconds: float) -> tuple[int, float]:
    """How often ``work`` was done within ``seconds``, and the seconds that took."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin, n_done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        n_done += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
    return n_done, time.perf_counter() - begin


def launches(work: Work, device: torch.device, trace: Path | None = None) -> int:
    """Kernels, copies and fills that one call puts on a GPU, or operators of torch that it runs on a CPU."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities, acc_events=True) as record:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
    if trace is not None:
        record.export_chrome_trace(str(trace))
    events = record.events() or []
    if device.type == "cuda":
        return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in events)
    return sum(event.name.startswith("aten::") for event in events)
