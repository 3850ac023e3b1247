"""The settings that stand for others, as `ctmar.evaluation.preference` chose them: filters, no choice of their own."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.required_columns import IDENTITY

Identity = tuple[Any, ...]


def chosen_settings(models: pd.DataFrame, network: str) -> list[Identity]:
    """For each method and norm of a network, in the order of the study, the setting that validation prefers.

    Args:
        models: ``models.csv``.
        network: name of the network.
    """
    return _identities(models[(models["network"] == network) & models["chosen"]])


def shown_settings(models: pd.DataFrame, network: str) -> list[Identity]:
    """The few settings shown as images and named in charts: of each kind of method the one validation prefers.

    Args:
        models: ``models.csv``.
        network: name of the network.
    """
    of_kinds = _identities(models[(models["network"] == network) & models["chosen_of_kind"]])
    kinds = list(Kind)
    return sorted(of_kinds, key=lambda identity: kinds.index(METHODS[identity[1]].kind))


def _identities(models: pd.DataFrame) -> list[Identity]:
    return list(models[IDENTITY].itertuples(index=False, name=None))


def only(models: pd.DataFrame, identities: Sequence[Identity]) -> pd.DataFrame:
    """The rows of some settings, in the order of ``models``."""
    wanted = set(identities)
    keep = [identity in wanted for identity in models[IDENTITY].itertuples(index=False, name=None)]
    return models[keep]
