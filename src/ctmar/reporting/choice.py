"""Which settings stand for a method: always those that validation prefers, never those that test best."""

from typing import Any

import pandas as pd

from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.required_columns import IDENTITY

Identity = tuple[Any, ...]


def preference(runs: pd.DataFrame, network: str) -> dict[Identity, tuple[int, float]]:
    """By what settings are chosen, greater is better: number of seeds, then validation PSNR of the kept weights [dB].

    Seeds differ more than settings do, so that a mean over fewer seeds is never preferred.

    Args:
        runs: ``runs.csv``.
        network: name of the network.

    Returns:
        (number of seeds, mean over seeds) of each `IDENTITY`, in the order of the study.
    """
    own = runs[runs["network"] == network].groupby(IDENTITY, sort=False)["validation_psnr"].agg(["size", "mean"])
    sizes, means = own["size"].tolist(), own["mean"].tolist()
    return dict(zip(own.index.tolist(), zip(sizes, means, strict=True), strict=True))


def choose_settings(runs: pd.DataFrame, network: str) -> list[Identity]:
    """For each method and norm of a network, in the order of the study, the setting that validation prefers.

    Args:
        runs: ``runs.csv``.
        network: name of the network.
    """
    preferences = preference(runs, network)
    series = dict.fromkeys(identity[1:3] for identity in preferences)
    return [max((own for own in preferences if own[1:3] == key), key=preferences.__getitem__) for key in series]


def choose_shown(runs: pd.DataFrame, network: str) -> list[Identity]:
    """The few settings shown as images and named in charts: of each kind of method the one validation prefers."""
    preferences = preference(runs, network)
    own = [[identity for identity in preferences if METHODS[identity[1]].kind is kind] for kind in Kind]
    return [max(identities, key=preferences.__getitem__) for identities in own if identities]
