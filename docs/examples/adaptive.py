"""The weight and the norm of the penalty chosen by the data: how much is lost against a grid tuned on validation data.

Four problems whose truth is known, so that the excess risk is exact: a linear map on 9 × 9 images with C_4, a small
network on C_4 features, a linear map on 12 pixels with C_12 whose symmetry is broken by a dense, a low-rank or a
sparse part, and the same with smooth inputs. docs/derivation.md, section 9, has the method.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import torch
from adaptive_inputs import input_risks
from adaptive_norms import norm_risks
from adaptive_weights import linear_risks, network_risks

SHARES = (0.0, 0.1, 0.3, 0.6, 1.0)  # of the truth outside the symmetry
STRENGTHS = (0.5, 2.0)  # broken symmetry β² in units of the variance that strict equivariance saves
N_RESAMPLES = 2000

Row = dict[str, object]

# --- tables and figure ------------------------------------------------------------------------------------------------

# problem → the method that the others are compared with
REFERENCES = {"linear": "grid", "network": "grid", "norms": "frobenius", "inputs": "frobenius"}


def all_runs(n_seeds: int, shares: list[float], strengths: list[float], n_processes: int) -> pd.DataFrame:
    """One row for each problem, setting, seed and method, whatever the number of processes."""
    tasks: list[tuple[str, str, float, int]] = []
    for share in shares:
        tasks += [("network", "", share, n_seeds), ("linear", "", share, n_seeds)]
    tasks += [("norms", kind, strength, n_seeds) for kind in ("dense", "low rank", "sparse") for strength in strengths]
    tasks += [("inputs", kind, 1.0, n_seeds) for kind in ("entries", "outputs")]
    if n_processes == 1:
        parts = [rows_of(task) for task in tasks]
    else:
        with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
            parts = list(pool.map(rows_of, tasks))
    table = pd.DataFrame(row for part in parts for row in part)
    return table.sort_values("problem", key=lambda names: names.map(list(REFERENCES).index), kind="stable")


def rows_of(task: tuple[str, str, float, int]) -> list[Row]:
    """All seeds of one problem in one setting."""
    problem, kind, strength, n_seeds = task
    torch.set_num_threads(1)  # sums of several threads round in an order of their own
    if problem == "network":
        return [run(problem, f"{strength:g}", *found) for found in network_risks(strength, n_seeds)]
    if problem == "norms":
        return [run(problem, f"{kind}, {strength:g}", *found) for found in norm_risks(kind, strength, n_seeds)]
    seeds = range(n_seeds)
    if problem == "linear":
        return [run(problem, f"{strength:g}", k, *found) for k in seeds for found in linear_risks(strength, k)]
    return [run(problem, f"even in {kind}", k, *found) for k in seeds for found in input_risks(kind, k)]


def run(problem: str, setting: str, seed: int, method: str, risk: float) -> Row:
    """A row of the table of runs."""
    return {"problem": problem, "setting": setting, "seed": seed, "method": method, "risk": risk}


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean risk of each method and its ratio to the reference's, with the 95 % interval of a bootstrap over seeds."""
    rows = []
    for (problem, setting), part in runs.groupby(["problem", "setting"], sort=False):
        risks = part.pivot(index="seed", columns="method", values="risk")
        methods = [name for name in part["method"].unique() if not name.startswith("chose ")]
        drawn = np.random.default_rng(0).integers(len(risks), size=(N_RESAMPLES, len(risks)))
        reference = risks[REFERENCES[problem]].to_numpy()
        for method in methods:
            values = risks[method].to_numpy()
            ratios = values[drawn].mean(1) / reference[drawn].mean(1)
            low, high = np.quantile(ratios, [0.025, 0.975])
            row = {"problem": problem, "setting": setting, "method": method, "risk": values.mean()}
            rows.append(row | {"ratio": values.mean() / reference.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame, problem: str) -> str:
    """A problem's table: the mean risk of the reference, and the ratio (interval) of every other method."""
    part = table[table["problem"] == problem]
    reference = REFERENCES[problem]
    methods = [name for name in part["method"].unique() if name != reference]
    lines = ["| setting | " + " | ".join([f"{reference}: risk", *methods]) + " |", "|---" * (len(methods) + 2) + "|"]
    for setting, rows in part.groupby("setting", sort=False):
        found = rows.set_index("method")
        cells = [f"{found.loc[reference, 'risk']:.3g}"]
        for method in methods:
            ratio, low, high = found.loc[method, ["ratio", "low", "high"]]
            cells.append(f"{ratio:.2f} ({low:.2f}–{high:.2f})")
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(table: pd.DataFrame) -> alt.ConcatChart:
    """Ratio to the reference with intervals; one panel for each problem."""
    titles = {
        "linear": "linear map: risk over that of the tuned grid",
        "network": "network: risk over that of the tuned grid",
        "norms": "norms: risk over that of tuned Frobenius",
        "inputs": "smooth inputs: risk over that of tuned Frobenius",
    }
    panels = []
    for problem, title in titles.items():
        part = table[(table["problem"] == problem) & (table["method"] != REFERENCES[problem])]
        order = list(part["setting"].unique())
        base = alt.Chart(part).encode(
            x=alt.X("setting:N", sort=order, title="broken symmetry", axis=alt.Axis(labelAngle=-30)),
            xOffset=alt.XOffset("method:N", sort=list(part["method"].unique())),
            color=alt.Color("method:N", title=None, legend=alt.Legend(orient="bottom", columns=2)),
        )
        scale = alt.Scale(type="log", nice=False, domain=[0.4, 3], clamp=True)
        points = base.mark_point(filled=True).encode(y=alt.Y("ratio:Q", scale=scale, title=title))
        spread = base.mark_rule().encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
        line = alt.Chart(pd.DataFrame({"one": [1.0]})).mark_rule(strokeDash=[4, 4]).encode(y="one:Q")
        panels.append((line + spread + points).properties(width=300, height=260))
    return alt.concat(*panels, columns=2).resolve_scale(color="independent")


def whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    write(temporary)
    temporary.replace(path)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--figure", type=Path, default=Path("adaptive.png"), help="figure to write, .png or .svg")
    parser.add_argument("--table", type=Path, default=Path("adaptive.csv"), help="table to write")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds: data, truth, initial weights")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the truth, outside")
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=list(STRENGTHS), help="β² over the variance saved"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that share the work")
    chosen = parser.parse_args(argv)
    if chosen.figure.suffix not in (".png", ".svg"):
        parser.error(f"--figure: expected a name that ends in .png or .svg, found {chosen.figure}")
    if chosen.seeds < 2 or chosen.processes < 1:
        parser.error(
            f"expected --seeds of at least 2 and --processes of at least 1, found {chosen.seeds}, {chosen.processes}"
        )
    return chosen


def main(argv: list[str] | None = None) -> None:
    """Run all problems, write table and figure, print the tables."""
    chosen = arguments(argv)
    started = time.perf_counter()
    runs = all_runs(chosen.seeds, chosen.shares, chosen.strengths, chosen.processes)
    table = summary(runs)
    print(f"{chosen.seeds} seeds in {time.perf_counter() - started:.0f} s on {chosen.processes} process(es)")
    whole(chosen.table, lambda path: table.to_csv(path, index=False, float_format="%.5g"))
    whole(chosen.figure, figure(table).save)
    for problem in REFERENCES:
        print(f"\n{problem}:", markdown(table, problem), sep="\n")
    picks = runs[runs["method"].str.startswith("chose ")]
    counts = picks.groupby(["setting", "method"], sort=False).size().unstack(fill_value=0)
    print("\nnorms chosen:", counts.to_string(), sep="\n")


if __name__ == "__main__":
    main()
