"""The rule that follows from the table over all domains: sentences and counts whose every word the intervals choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd
from comparison import BETTER, METHODS, REFERENCES, WORSE, paired_interval, verdict

HOLDS, PARTLY, MOST = "the symmetry holds", "it is partly broken", "it is broken most"
REGIMES = (HOLDS, PARTLY, MOST)  # by the dial: at 0, between, at its last position


class Row(SimpleNamespace):
    """A setting, a domain at one position of its dial: the methods' rows of `comparison.summary`, and their seeds."""

    title: str
    dial: float
    methods: dict[str, Any]
    places: int
    seeds: pd.DataFrame | None
    regime: str

    @property
    def label(self) -> str:
        """As in the sentences."""
        return f"{self.title} at {self.dial:g}"

    def verdict(self, method: str, reference: str) -> str:
        """Whether a method is better or worse than another one; nothing where the row has not both."""
        return verdict(self.methods[method], reference) if method in self.methods else ""


def regime(dial: float, last: float, broken: bool = True) -> str:
    """How far the group that the methods are told is broken at a position of a dial that ends at `last`."""
    if dial == 0 or not broken:
        return HOLDS
    return MOST if dial == last else PARTLY


def listed(rows: Sequence[Row]) -> str:
    """How many, and which."""
    return f"{len(rows)}" + (f" ({'; '.join(row.label for row in rows)})" if rows else "")


def decided(rows: Sequence[Row], method: str, reference: str, mark: str) -> list[Row]:
    """Where a method is better, or worse, than another one."""
    return [row for row in rows if row.verdict(method, reference) == mark]


def count(rows: Sequence[Row], method: str, reference: str) -> str:
    """In how many settings a method is better and worse than another one, and of how many."""
    n_run = sum(method in row.methods for row in rows)
    if not n_run or method == reference:
        return "–"
    better, worse = (len(decided(rows, method, reference, mark)) for mark in (BETTER, WORSE))
    return f"{better} {BETTER} {worse} {WORSE} of {n_run}"


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
    """A table: in how many settings of each regime a method is better or worse than plain and than strict."""
    methods = present_in(rows)
    lines = ["| where | than | " + " | ".join(methods) + " |", "|---" * (2 + len(methods)) + "|"]
    for name in REGIMES:
        part = [row for row in rows if row.regime == name]
        for reference in REFERENCES if part else ():
            cells = [count(part, method, reference) for method in methods]
            lines.append(f"| {name} | {reference} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def rule_of(rows: Sequence[Row]) -> str:
    """What to take in each regime, chosen by the counts."""
    lines = []
    for name in REGIMES:
        part = [row for row in rows if row.regime == name]
        if part:
            lines.append(f"* **Where {name}** ({len(part)} settings): {recommended(part)}")
    return "\n".join(lines) + "\n"


def recommended(rows: Sequence[Row]) -> str:
    """Strict, the tuned penalty or neither: a method is taken if it pays somewhere and nothing speaks against it."""
    tuned = "penalty, tuned"
    up, down = (len(decided(rows, "strict", "plain", mark)) for mark in (BETTER, WORSE))
    gains, losses = (len(decided(rows, tuned, "plain", mark)) for mark in (BETTER, WORSE))
    over, under = (len(decided(rows, tuned, "strict", mark)) for mark in (BETTER, WORSE))
    if up and not down and not over:
        return f"**take strict**. The tuned penalty is better than it nowhere and worse in {under}."
    if gains and not losses and not under:
        return f"**take the tuned penalty**. It is better than strict in {over} and worse nowhere."
    if not (up or down or gains or losses):
        return "**nothing is decided** between plain, strict and the tuned penalty; plain is the cheapest."
    if not up and not gains:
        return (
            f"**train plain**; neither is worth it. Nothing is gained over plain anywhere, strict is worse in {down} "
            f"and the tuned penalty in {losses}."
        )
    return (
        f"**let validation choose**. Strict is better than plain in {up} and worse in {down}, the tuned penalty better "
        f"in {gains} and worse in {losses}; it is better than strict in {over} and worse in {under}."
    )


def undecided_of(rows: Sequence[Row]) -> str:
    """What a reader must not take from the table."""
    n_open = {}
    for method in present_in(rows):
        there = [row for row in rows if method in row.methods]
        n_open[method] = f"{method} in {sum(not row.verdict(method, 'plain') for row in there)} of {len(there)}"
    lines = ["* Not told apart from plain: " + "; ".join(n_open.values()) + "."]
    for method in penalties_in(rows):
        found = listed(over_both(rows, method))
        lines.append(f"* {method.capitalize()} is better than plain and than strict at once in {found}.")
    silent = [row for row in rows if not any(row.verdict(method, "plain") for method in present_in(rows))]
    lines.append(f"* No method is told apart from plain in {listed(silent)}.")
    return "\n".join(lines) + "\n"


def against_strict(rows: Sequence[Row]) -> str:
    """One line for each setting: which methods are decided better and worse than strict."""
    lines = []
    for row in rows:
        names = {mark: [m for m in METHODS if row.verdict(m, "strict") == mark] for mark in (BETTER, WORSE)}
        better, worse = ("; ".join(names[mark]) or "none" for mark in (BETTER, WORSE))
        lines.append(f"* {row.dial_name} = {row.dial:g}: better than strict: {better}. Worse: {worse}.")
    return f"Decided against strict, in {rows[0].metric}:\n\n" + "\n".join(lines) + "\n"


def loss_ratio(row: Row) -> float:
    """Validation loss of strict over plain's, the geometric mean over seeds: what two trainings tell."""
    assert row.seeds is not None
    losses = row.seeds.pivot(index="seed", columns="method", values="validation")
    return math.exp((losses["strict"] / losses["plain"]).map(math.log).mean())


def span(ratios: Sequence[float]) -> str:
    """The smallest and the largest, or one where both are told the same."""
    smallest, largest = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    return smallest if smallest == largest else f"{smallest} to {largest}"


def ratios_of(rows: Sequence[Row]) -> str:
    """At which ratios of losses strict is better than plain, worse, and neither."""
    known = [row for row in rows if row.seeds is not None]
    lines = []
    for mark, said in ((BETTER, "better than plain"), (WORSE, "worse than plain"), ("", "not told apart from plain")):
        ratios = [loss_ratio(row) for row in decided(known, "strict", "plain", mark)]
        lines.append(
            f"* Strict is {said} in {len(ratios)} of {len(known)}" + (f", at r of {span(ratios)}." if ratios else ".")
        )
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
    lines = []
    for method in ("plain", *present_in(known)):
        there, above, below = over_choice(known, method)
        lines.append(f"* {method}: better in {listed(above)}; worse in {listed(below)}; of {len(there)}.")
    there, above, below = over_choice(known, "penalty, tuned")
    lines += [
        "\n**In one line**: train one plain and one strict network and keep what validation prefers; a tuned penalty",
        f"is better than that in {len(above)} and worse in {len(below)} of {len(there)} settings.",
    ]
    return "\n".join(lines)


def over_choice(rows: Sequence[Row], method: str) -> tuple[list[Row], list[Row], list[Row]]:
    """The settings that have a method, those where it is better than what validation chooses, and where worse."""
    there = [row for row in rows if method in row.methods]
    limits = [(row, *chosen_gains(row, method)) for row in there]
    return there, [row for row, _, low, _ in limits if low > 0], [row for row, _, _, high in limits if high < 0]
