"""One part in a process of its own: started, watched, ended at its limit; a crash there is a line here."""

import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_check import machine
from benchmarks.gpu_check.bundle import ROOT
from benchmarks.gpu_check.parts import Part
from benchmarks.gpu_check.rows import Row, read_rows, shown

SECONDS_BETWEEN_CLOCKS = 4.0
LOG_CHARACTERS = 3000


@dataclass(frozen=True)
class Options:
    """What all parts are told."""

    device: str
    quick: bool
    trace: bool
    bundle: Path
    output: Path


def run_part(part: Part, limit_s: float, options: Options, variables: dict[str, str]) -> dict[str, Any]:
    """Run a part to its end or its limit; returns its rows, how it ended, and what its log said last if it failed."""
    rows, log = (options.output / f"part_{part.key}.{suffix}" for suffix in ("rows.jsonl", "log"))
    rows.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu_check.worker", part.key, "--device", options.device]
    command += ["--limit", str(limit_s), "--bundle", str(options.bundle), "--output", str(options.output)]
    command += ["--rows", str(rows), *["--quick"] * options.quick, *["--trace"] * options.trace]
    begin = time.monotonic()
    with log.open("wb") as file:
        # a group of its own, so that what the part starts ends with it
        process = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        clocks = watch(process, begin + limit_s, options.device)
    found = read_rows(rows)
    outcome = how_it_ended(process.returncode, limit_s, found)
    facts = {"outcome": outcome, "seconds": round(time.monotonic() - begin, 1), "limit_s": limit_s, "rows": found}
    text = log.read_text(errors="replace")
    print("\n".join([shown(Row(**row)) for row in found]), flush=True)
    if outcome != "done":
        print(text[-LOG_CHARACTERS:], flush=True)
    return facts | {"clocks": clocks} | ({} if outcome == "done" else {"log": text[-LOG_CHARACTERS:]})


def watch(process: subprocess.Popen[bytes], deadline: float, device: str) -> dict[str, Any]:
    """Wait for the process, end its group at the deadline; returns what the card's clocks were meanwhile."""
    samples: list[dict[str, str]] = []
    while process.poll() is None and time.monotonic() < deadline:
        if device == "cuda":
            samples.append(machine.ask_card(machine.CLOCKS))
        try:
            process.wait(max(0.05, min(SECONDS_BETWEEN_CLOCKS, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return summarise_clocks(samples)


def summarise_clocks(samples: list[dict[str, str]]) -> dict[str, Any]:
    """Lowest, median and highest of every clock that the card told as a number.

    Examples:
        >>> summarise_clocks([{"clocks.sm": "345 MHz"}, {"clocks.sm": "1980 MHz"}, {"clocks.sm": "[N/A]"}])
        {'clocks.sm': [345.0, 1162.5, 1980.0]}
    """
    values: dict[str, list[float]] = {}
    for name, text in (item for sample in samples for item in sample.items()):
        number = text.split(" ")[0]
        if number.replace(".", "", 1).isdigit():
            values.setdefault(name, []).append(float(number))
    return {name: [min(found), statistics.median(found), max(found)] for name, found in values.items()}


def how_it_ended(code: int, limit_s: float, rows: list[dict[str, Any]]) -> str:
    """In words: done, failed with its code, or ended at its limit."""
    if code == 0:
        return "done" if rows else "ended without a figure"
    if code == -signal.SIGKILL:
        return f"ended at its limit of {limit_s:g} s, or killed"
    return f"killed by signal {-code}" if code < 0 else f"failed with code {code}"
