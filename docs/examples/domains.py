"""The table over all domains and the rule that follows from it, from the tables of the examples.

Writes the page over all domains, and what came out into the page of each example, between two marks. Every word there
that depends on a number is chosen by that number.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ct
import pandas as pd
from comparison import BETTER, METHODS, WORSE, cell, decimals, markdown, paired_interval, summary, verdict

FOLDER = Path(__file__).parent
EXAMPLES = ("rings_methods", "patches", "patches_prism")  # modules with a DOMAIN and a table beside them

BEGIN, END = "<!-- from here on written by domains.py -->\n", "<!-- up to here -->\n"

FRAME = """# All domains side by side

Written by `python docs/examples/domains.py` from the tables of the examples, which lie beside them; a test keeps it in
step.

Every method starts from the same drawn network, made equivariant at the scale of its draw, and takes the same number
of steps on the same batches of the same data. λ⊥ is chosen on validation data: from {n_weights} for the squared
Frobenius penalty and {n_proximal} for the proximal step, which costs as many trainings. Test-time averaging costs
plain's one, and a forward pass for each element at every prediction. CT is the default study of this repository at
commit {commit}, with two weights in its grids, or one where 0 < ε < 1.

Plain has its mean over seeds, all others their gain over plain of the same seed, above 0 where they are better, with
its 95 % interval: by Student's t over seeds; in CT over patients and seeds, corrected for the comparisons of a method.
{better} marks an interval above 0, {worse} one below. Intervals of the other domains are not corrected: of {n_cells}
cells about {n_chance} would be marked if no method differed from plain. They speak of seeds (data, start, batches) of
these small networks, and of nothing else.

{table}
## When is strict better, when the penalty, when neither

Over the {n_settings} rows of the table; "better" and "worse" mean that the whole interval is on that side.

{rule}
### Choosing on validation data

{choice}

### Every method against plain and against strict

{counts}"""


class Row(SimpleNamespace):
    """A domain at one position of its dial: the methods' rows of `comparison.summary`, and the seeds behind them."""

    title: str
    dial: float
    methods: dict[str, Any]
    places: int
    seeds: pd.DataFrame | None

    @property
    def label(self) -> str:
        """As in the sentences."""
        return f"{self.title} at {self.dial:g}"

    def verdict(self, method: str, reference: str) -> str:
        """Whether a method is better or worse than another one; nothing where the row has not both."""
        return verdict(self.methods[method], reference) if method in self.methods else ""


def rows_of_domain(title: str, dial: str, rows: pd.DataFrame, seeds: pd.DataFrame | None) -> list[Row]:
    """The rows of the headline metric."""
    headline = rows[rows["metric"] == rows["metric"].iloc[0]]
    found = []
    for position, part in headline.groupby("dial", sort=False):
        methods = {row["method"]: row for _, row in part.iterrows()}
        of_seeds = (
            None if seeds is None else seeds[(seeds["dial"] == position) & (seeds["metric"] == part["metric"].iloc[0])]
        )
        names = {"title": title, "dial_name": dial, "metric": part["metric"].iloc[0], "dial": position}
        found.append(Row(**names, methods=methods, places=decimals(headline), seeds=of_seeds))
    return found


def all_rows() -> list[Row]:
    """Every domain at every position of its dial."""
    found = []
    for name in EXAMPLES:
        domain, table = import_module(name).DOMAIN, pd.read_csv(FOLDER / f"{name}.csv")
        sign = next(iter(domain.metrics.values()))
        rows = rows_of_domain(domain.title, domain.dial, summary(table, domain.metrics), table)
        found += [Row(**vars(row), sign=sign) for row in rows]
    rows = rows_of_domain(ct.TITLE, ct.DIAL, pd.read_csv(FOLDER / "ct.csv"), None)
    return found + [Row(**vars(row), sign=1) for row in rows]


def table_of(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = ["| domain | dial | " + " | ".join(METHODS) + " |", "|---" * (2 + len(METHODS)) + "|"]
    for row in rows:
        cells = [cell(row.methods[name], row.places) if name in row.methods else "not run" for name in METHODS]
        lines.append(f"| {row.title}, {row.metric} | {row.dial_name} = {row.dial:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def listed(rows: Sequence[Row]) -> str:
    """How many, and which."""
    return f"{len(rows)}" + (f" ({'; '.join(row.label for row in rows)})" if rows else "")


def compared(rows: Sequence[Row], method: str, reference: str) -> str:
    """A sentence: in how many rows a method is better or worse than another."""
    both = [row for row in rows if method in row.methods]
    found = {mark: [row for row in both if row.verdict(method, reference) == mark] for mark in (BETTER, WORSE)}
    undecided = len(both) - sum(map(len, found.values()))
    return (
        f"* **{method.capitalize()} against {reference}**: better in {listed(found[BETTER])}, "
        f"worse in {listed(found[WORSE])}, undecided in {undecided} of {len(both)}."
    )


def present_in(rows: Sequence[Row]) -> list[str]:
    """The methods that some row has, without plain."""
    return [method for method in METHODS if method != "plain" and any(method in row.methods for row in rows)]


def penalties_in(rows: Sequence[Row]) -> list[str]:
    """The methods among them that weigh W − P(W)."""
    return [method for method in present_in(rows) if method.startswith("penalty") or method == "proximal"]


def over_both(rows: Sequence[Row], method: str) -> list[Row]:
    """Where a method is better than plain and better than strict."""
    return [row for row in rows if row.verdict(method, "plain") == row.verdict(method, "strict") == BETTER]


def counts_of(rows: Sequence[Row]) -> str:
    """How often each method is better or worse than plain and than strict."""
    lines = [compared(rows, method, "plain") for method in present_in(rows)]
    lines += [compared(rows, method, "strict") for method in present_in(rows) if method != "strict"]
    for method in penalties_in(rows):
        lines.append(
            f"* **{method.capitalize()} better than plain and than strict**: in {listed(over_both(rows, method))}."
        )
    return "\n".join(lines) + "\n"


def loss_ratio(row: Row) -> float:
    """Validation loss of strict over plain's, the geometric mean over seeds: what two trainings tell."""
    assert row.seeds is not None
    losses = row.seeds.pivot(index="seed", columns="method", values="validation")
    return math.exp((losses["strict"] / losses["plain"]).map(math.log).mean())


def span(rows: Sequence[Row]) -> str:
    """The range of `loss_ratio`."""
    ratios = sorted(map(loss_ratio, rows))
    return f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else "none"


def rule_of(rows: Sequence[Row]) -> str:
    """When strict, when a penalty, when neither: where their intervals are beside 0, and at which ratio of losses."""
    known = [row for row in rows if row.seeds is not None]
    penalties = penalties_in(rows)
    lines = ["r is the validation loss of strict over that of plain, which two trainings tell (known but for CT).\n"]

    def line(title: str, found: Sequence[Row]) -> None:
        seen = [row for row in found if row in known]
        ratios = f", at r of {span(seen)}" if seen else ""
        lines.append(f"* **{title}** in {listed(found)}{ratios}.")

    line("Strict is better than plain", [row for row in rows if row.verdict("strict", "plain") == BETTER])
    line("Strict is worse than plain", [row for row in rows if row.verdict("strict", "plain") == WORSE])
    for method in penalties:
        line(f"{method.capitalize()}: better than plain and than strict", over_both(rows, method))
    neither = [row for row in rows if BETTER not in {row.verdict(m, "plain") for m in ("strict", *penalties)}]
    line("Neither strict nor any penalty is better than plain", neither)
    harmed = [row for row in rows for method in penalties if row.verdict(method, "plain") == WORSE]
    line("Some penalty is worse than plain", [row for row in rows if row in harmed])
    return "\n".join(lines) + "\n"


def chosen_gains(row: Row, method: str) -> tuple[float, float, float]:
    """Gain of a method over the better of plain and strict on the validation set, paired by seed."""
    assert row.seeds is not None
    values, losses = (row.seeds.pivot(index="seed", columns="method", values=of) for of in ("value", "validation"))
    takes_strict = losses["strict"] < losses["plain"]
    choice = values["strict"].where(takes_strict, values["plain"])
    return paired_interval((row.sign * (values[method] - choice)).tolist())


def choice_of(rows: Sequence[Row]) -> str:
    """What a reader gains over two trainings, one plain and one strict, of which validation data choose one."""
    known = [row for row in rows if row.seeds is not None]
    lines = [
        "Two trainings, one plain and one strict, of which validation takes one: what do the others add?",
        "Gains are paired by seed, as above; all domains but CT, whose seeds are not in its table.\n",
    ]
    for method in ("plain", *present_in(known)):
        there = [row for row in known if method in row.methods]
        limits = {row.label: chosen_gains(row, method) for row in there}
        above = [row for row in there if limits[row.label][1] > 0]
        below = [row for row in there if limits[row.label][2] < 0]
        lines.append(f"* {method}: better in {listed(above)}; worse in {listed(below)}; of {len(there)}.")
    return "\n".join(lines)


def page_of_all() -> str:
    """The whole page over all domains."""
    rows = all_rows()
    domains = [import_module(name).DOMAIN for name in EXAMPLES]
    n_cells = sum(len(row.methods) - 1 for row in rows if row.seeds is not None)
    return FRAME.format(
        n_weights=grid_sizes([len(domain.weights) for domain in domains]),
        n_proximal=grid_sizes([len(domain.proximal_weights) for domain in domains]),
        commit=str(pd.read_csv(FOLDER / "ct.csv")["commit"].iloc[0])[:7],
        better=BETTER,
        worse=WORSE,
        n_cells=n_cells,
        n_chance=round(0.05 * n_cells),
        table=table_of(rows),
        n_settings=len(rows),
        rule=rule_of(rows),
        choice=choice_of(rows),
        counts=counts_of(rows),
    )


def page_of(name: str) -> str:
    """The page of an example, with its tables and counts as they are now.

    Raises:
        ValueError: the page has not the two marks.
    """
    path, domain = FOLDER / f"{name}.md", import_module(name).DOMAIN
    text, table = path.read_text(encoding="utf-8"), pd.read_csv(FOLDER / f"{name}.csv")
    if not (text.count(BEGIN) == text.count(END) == 1):
        raise ValueError(f"{path.name}: expected the lines {BEGIN.strip()!r} and {END.strip()!r} once each")
    before, rest = text.split(BEGIN)
    rows = [row for row in all_rows() if row.title == domain.title]
    time_taken = (
        f"{table['seed'].nunique()} seeds; {table.drop_duplicates(['dial', 'method', 'seed'])['trainings'].sum()}"
    )
    intro = f"{time_taken} trainings counted once for each method; 95 % intervals by Student's t over seeds.\n"
    block = "\n".join([intro, markdown(table, domain), counts_of(rows)])
    return before + BEGIN + block + END + rest.split(END)[1]


def pages() -> dict[Path, str]:
    """Every page that is written here, with its text."""
    written = {FOLDER / f"{name}.md": page_of(name) for name in EXAMPLES}
    return {FOLDER / "domains.md": page_of_all()} | written


def grid_sizes(sizes: Sequence[int]) -> str:
    """One number, or the smallest and the largest."""
    return f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"


def main(argv: list[str] | None = None) -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
    )
    parser.parse_args(argv)
    for path, text in pages().items():
        temporary = path.with_name(f".{path.name}.partial")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


if __name__ == "__main__":
    main()
