"""Which settings stand for a method: always those that validation prefers, never those that test best."""

from typing import Any

import pandas as pd

from ctmar.reporting.columns import IDENTITY
from ctmar.reporting.methods import KINDS, kind_of

Identity = tuple[Any, ...]


def final_validation(curves: pd.DataFrame) -> pd.Series:
    """Validation PSNR after the last epoch, mean over seeds, indexed by `IDENTITY` [dB]."""
    last = curves[curves["epoch"] == curves.groupby([*IDENTITY, "seed"])["epoch"].transform("max")]
    means: pd.Series = last.groupby(IDENTITY, sort=False)["validation_psnr"].mean()
    return means


def choose_settings(curves: pd.DataFrame, network: str) -> list[Identity]:
    """For each method and norm of a network, in the order of the study, the setting with the highest validation PSNR.

    Args:
        curves: ``curves.csv``.
        network: name of the network.
    """
    best: dict[tuple[str, str], tuple[float, Identity]] = {}
    for identity, psnr in final_validation(curves[curves["network"] == network]).items():
        key = (identity[1], identity[2])
        if key not in best or psnr > best[key][0]:
            best[key] = (psnr, identity)
    return [identity for _, identity in best.values()]


def choose_shown(curves: pd.DataFrame, network: str) -> list[Identity]:
    """The few settings shown as images and named in charts: of each kind of method the one validation prefers."""
    validation = final_validation(curves)
    settings = choose_settings(curves, network)
    own = [[identity for identity in settings if kind_of(identity[1]) == kind] for kind in KINDS]
    return [max(identities, key=lambda identity: float(validation[identity])) for identities in own if identities]


def choose_method(curves: pd.DataFrame, network: str, method: str) -> Identity | None:
    """The setting of one method that validation prefers, if the study has the method."""
    validation = final_validation(curves)
    own = [identity for identity in choose_settings(curves, network) if identity[1] == method]
    return max(own, key=lambda identity: float(validation[identity]), default=None)
