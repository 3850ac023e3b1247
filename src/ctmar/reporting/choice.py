"""Which settings stand for a method: always those that validation prefers, never those that test best."""

from typing import Any

import pandas as pd

from ctmar.reporting.columns import IDENTITY
from ctmar.reporting.methods import KINDS, kind_of

Identity = tuple[Any, ...]


def validation_psnr(runs: pd.DataFrame, network: str) -> pd.Series:
    """Validation PSNR of the weights that were kept, mean over seeds, indexed by `IDENTITY` [dB].

    Args:
        runs: ``runs.csv``.
        network: name of the network.
    """
    means: pd.Series = runs[runs["network"] == network].groupby(IDENTITY, sort=False)["validation_psnr"].mean()
    return means


def choose_settings(runs: pd.DataFrame, network: str) -> list[Identity]:
    """For each method and norm of a network, in the order of the study, the setting with the highest validation PSNR.

    Args:
        runs: ``runs.csv``.
        network: name of the network.
    """
    best: dict[tuple[str, str], tuple[float, Identity]] = {}
    validation = validation_psnr(runs, network)
    for identity, psnr in zip(validation.index.tolist(), validation.tolist(), strict=True):
        key = (identity[1], identity[2])
        if key not in best or psnr > best[key][0]:
            best[key] = (psnr, identity)
    return [identity for _, identity in best.values()]


def choose_shown(runs: pd.DataFrame, network: str) -> list[Identity]:
    """The few settings shown as images and named in charts: of each kind of method the one validation prefers."""
    validation = validation_psnr(runs, network)
    settings = choose_settings(runs, network)
    own = [[identity for identity in settings if kind_of(identity[1]) == kind] for kind in KINDS]
    return [max(identities, key=lambda identity: float(validation[identity])) for identities in own if identities]
