"""What the filter of the page asks for, and what every row, mark and panel answers: the settings that it shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctmar.config.labels import norm_label
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.study_files import StudyTables, rows_of


@dataclass(frozen=True)
class Facet:
    """A question of the filter: its name in the address, what a reader is asked, and the answers as value and text."""

    name: str
    title: str
    choices: list[tuple[str, str]]


def facets_of(row: Mapping[str, Any]) -> str:
    """What a row of a table of results shows, as ``static/filter.js`` reads it.

    Args:
        row: method and norm; network, number of seeds and strength of the asymmetry where the row has them. What it
            does not have is empty and passes every filter.

    Examples:
        >>> facets_of({"method": "projection", "norm": "mixed:2,1", "network": "dncnn", "n_seeds": 3})
        'penalty|mixed:2,1|3||dncnn'
        >>> facets_of({"method": "strict", "norm": "none", "asymmetry": 0.2})
        'weight|none||0.2|'
    """
    kind = METHODS[row["method"]].kind.name.lower()
    seeds = f"{row['n_seeds']:.0f}" if "n_seeds" in row else ""
    strength = f"{row['asymmetry']:g}" if "asymmetry" in row else ""
    return "|".join((kind, row["norm"], seeds, strength, row.get("network", "")))


def facets_of_all(settings: pd.DataFrame) -> str:
    """The same of a panel that shows several settings of one method, norm and network: it has the most of their seeds.

    Args:
        settings: rows of ``models.csv``.
    """
    return facets_of(rows_of(settings.sort_values("n_seeds").tail(1))[0])


def facets(results: StudyTables) -> list[Facet]:
    """The questions that have more than one answer in a study.

    Args:
        results: the study.
    """
    models = pd.concat([results.models, results.dial])
    kinds = {METHODS[method].kind for method in models["method"]}
    norms = [norm for norm in dict.fromkeys(models["norm"]) if norm != "none"]
    found = [
        Facet("kind", "Kind of method", [(kind.name.lower(), kind.value) for kind in Kind if kind in kinds]),
        Facet("norm", "Norm, of methods that have one", [(norm, norm_label(norm)) for norm in norms]),
        Facet("network", "Network", [(name, name) for name in dict.fromkeys(models["network"])]),
        Facet("seeds", "Seeds, at least", [(f"{n}", f"{n}") for n in sorted(set(models["n_seeds"]))]),
        Facet(
            "strength",
            "ε of the broken symmetry, where charts show several",
            [(f"{strength:g}", f"{strength:g}") for strength in sorted(set(results.dial["asymmetry"]))],
        ),
    ]
    return [facet for facet in found if len(facet.choices) > 1]
