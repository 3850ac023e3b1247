"""The table over all domains and the rule that follows from it, from the tables of the examples.

Writes the page over all domains, and what came out into the page of each example, between two marks. Every word there
that depends on a number is chosen by that number.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import ct
import pandas as pd
from comparison import BETTER, METHODS, WORSE, cell, decimals, markdown, summary
from rule import Row, against_strict, choice_of, counts_of, ratios_of, regime, rule_of, undecided_of

FOLDER = Path(__file__).parent
EXAMPLES = (  # modules with a DOMAIN and a table beside them
    "rings_methods",
    "dynamics",
    "digits",
    "patches",
    "patches_prism",
    "patches_steerable",
    "particles",
    "particles_about_axis",
)

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

Every cell counts settings, which are rows of the table: in how many the whole interval lies above 0 ({better}), in how
many below ({worse}), and of how many that were run.

{counts}
{rule}
### How to tell where one is

r is the validation loss of strict over that of plain, the geometric mean over seeds: two trainings tell it, and nobody
has to know the dial. It is known but for CT.

{ratios}
Two trainings, one plain and one strict, of which validation takes one: what do the other methods add to that? Gains are
paired by seed, as above, without CT, whose seeds are not in its table.

{choice}

### What is not decided

{undecided}"""


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
        last = max(domain.dials)
        found += [Row(**vars(row), sign=sign, regime=regime(row.dial, last, domain.broken)) for row in rows]
    rows = rows_of_domain(ct.TITLE, ct.DIAL, pd.read_csv(FOLDER / "ct.csv"), None)
    last = max(row.dial for row in rows)
    return found + [Row(**vars(row), sign=1, regime=regime(row.dial, last)) for row in rows]


def table_of(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    lines = ["| domain | dial | " + " | ".join(METHODS) + " |", "|---" * (2 + len(METHODS)) + "|"]
    for row in rows:
        cells = [cell(row.methods[name], row.places) if name in row.methods else "not run" for name in METHODS]
        lines.append(f"| {row.title}, {row.metric} | {row.dial_name} = {row.dial:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


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
        counts=counts_of(rows),
        rule=rule_of(rows),
        ratios=ratios_of(rows),
        choice=choice_of(rows),
        undecided=undecided_of(rows),
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
    of_methods = table.drop_duplicates(["dial", "method", "seed"])
    intro = (
        f"{table['seed'].nunique()} seeds; {of_methods['trainings'].sum()} trainings counted once for each method; "
        "95 % intervals by Student's t over seeds.\n"
    )
    block = "\n".join([intro, markdown(table, domain), against_strict(rows)])
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
