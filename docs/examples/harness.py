"""The harness of the examples: all methods at every position of a dial, paired by seed, on several processes.

Writes a table of one row for each position, seed, method and metric, and a figure; prints the comparison. Results do
not depend on the number of processes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import comparison
import pandas as pd
import torch
from methods import Domain, Unit, trained_methods

Rows = list[dict[str, Any]]
AnyUnit = TypeVar("AnyUnit", bound=Unit)


def rows_of(unit: Unit) -> Rows:
    """Everything at one position of the dial with one seed: a row for each method and metric.

    Seconds are of the processor, from the end of the method before: their sum is of all that was done, and the average
    counts none of plain's training, the adaptive penalty none of strict's.
    """
    torch.set_num_threads(1)  # sums of several threads round in an order of their own
    torch.backends.opt_einsum.enabled = False  # looking for an order takes longer than products as small as these
    began, domain, rows = time.process_time(), unit.domain, []
    data = domain.data(unit.dial, unit.seed)
    for method, trained, predict in trained_methods(unit, data):
        with torch.no_grad():
            values = domain.scores(predict, data.test)
        seconds, began = time.process_time() - began, time.process_time()
        for metric, value in zip(domain.metrics, values, strict=True):
            row = {"domain": domain.name, "dial": unit.dial, "method": method, "seed": unit.seed, "metric": metric}
            row |= {"value": value, "validation": trained.validation, "weight": trained.weight}
            rows.append(row | {"trainings": trained.trainings, "seconds": round(seconds, 2)})
    return rows


def units_of(domain: Domain, seeds: int) -> list[Unit]:
    """All positions of the dial and all seeds, from the first one of the domain."""
    first = domain.first_seed
    return [Unit(domain, dial, seed) for dial in domain.dials for seed in range(first, first + seeds)]


def run(units: Sequence[AnyUnit], work: Callable[[AnyUnit], Rows], jobs: int) -> pd.DataFrame:
    """The rows of all units, in order, on several processes."""
    began, found = time.perf_counter(), {}
    for unit, rows in finished(units, work, min(jobs, len(units))):
        found[unit.dial, unit.seed] = rows
        said = f"{len(found)} of {len(units)} after {time.perf_counter() - began:.0f} s"
        print(f"{said}: {unit.domain.dial} = {unit.dial:g}, seed {unit.seed}", file=sys.stderr, flush=True)
    return pd.DataFrame([row for unit in units for row in found[unit.dial, unit.seed]])


def finished(units: Sequence[AnyUnit], work: Callable[[AnyUnit], Rows], jobs: int) -> Iterator[tuple[AnyUnit, Rows]]:
    """Each unit with its rows, as they come."""
    if jobs == 1:
        yield from ((unit, work(unit)) for unit in units)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, unit): unit for unit in units}
        yield from ((waiting[done], done.result()) for done in as_completed(waiting))


def arguments(domain: Domain, description: str, argv: list[str] | None) -> argparse.Namespace:
    """Command line; only a dial of several positions has an option."""
    parser = argparse.ArgumentParser(
        description=description.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--figure", type=Path, default=Path(f"{domain.name}.png"), help="figure to write, .png or .svg")
    parser.add_argument("--table", type=Path, default=Path(f"{domain.name}.csv"), help="table to write")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: data, start, batches")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--steps", type=int, default=domain.n_steps, help="steps of every training")
    parser.set_defaults(dials=list(domain.dials))
    if len(domain.dials) > 1:
        parser.add_argument("--dials", type=float, nargs="+", help=domain.dial)
    chosen = parser.parse_args(argv)
    if chosen.figure.suffix not in (".png", ".svg"):
        parser.error(f"--figure: expected a name that ends in .png or .svg, found {chosen.figure}")
    if min(chosen.jobs, chosen.steps) < 1 or chosen.seeds < 2:
        parser.error(
            "expected --jobs and --steps of at least 1, --seeds of at least 2, "
            f"found {chosen.jobs}, {chosen.steps}, {chosen.seeds}"
        )
    return chosen


def main(domain: Domain, description: str | None, argv: list[str] | None = None) -> None:
    """Train everything, write table and figure, print the comparison."""
    chosen = arguments(domain, description or "", argv)
    began = time.perf_counter()
    domain = replace(domain, dials=tuple(chosen.dials), n_steps=chosen.steps)
    table = run(units_of(domain, chosen.seeds), rows_of, chosen.jobs)
    comparison.write_table(table, chosen.table)
    comparison.save_figure(comparison.figure(table, domain), chosen.figure)
    print(f"{len(table)} rows in {time.perf_counter() - began:.0f} s with {chosen.jobs} process(es)")
    print(comparison.markdown(table, domain))
