"""Kernels beside their projections as little pictures: W, P(W) and W − P(W) on one scale of colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config.labels import model_label, scientific
from ctmar.config.methods import METHODS, Kind
from ctmar.errors import InputError
from ctmar.reporting.checked_files import read_arrays
from ctmar.reporting.choice import Identity
from ctmar.reporting.images import data_address, error_image
from ctmar.reporting.study_files import RunRecord

_PARTS = ("W", "P(W)", "W − P(W)")
Blocks = dict[str, NDArray[np.float32]]  # (2, c_out, c_in, height, width) by the name of the weight: W and P(W)


@dataclass(frozen=True)
class KernelPicture:
    """The kernels of one layer in one setting: a picture of each part, and the norms of the whole layer."""

    layer: int
    setting: int
    pictures: list[tuple[str, str]]  # part, address
    n_out: int
    n_in: int
    norms: str
    limit: str
    shown: bool  # without a script

    @property
    def grid(self) -> str:
        """Lines between kernels as SVG path data, in units of kernels."""
        upright = "".join(f"M{k} 0V{self.n_out}" for k in range(1, self.n_in))
        return upright + "".join(f"M0 {k}H{self.n_in}" for k in range(1, self.n_out))


@dataclass(frozen=True)
class KernelChooser:
    """All pictures, of which a script shows the chosen ones; ``unreadable`` are settings whose run has no kernels."""

    layers: list[str]
    settings: list[str]
    chosen: tuple[int, int]
    pictures: list[KernelPicture]
    unreadable: list[str]

    @property
    def n_channels(self) -> int:
        """Channels of which kernels are drawn, where a layer has so many."""
        return max(picture.n_out for picture in self.pictures)


def kernel_chooser(records: Sequence[RunRecord], identities: Sequence[Identity]) -> KernelChooser | None:
    """Pictures of the first seed of each setting; None where no run has kernels.

    Args:
        records: the runs of the study.
        identities: settings that stand for the kinds of methods.
    """
    of_settings = [_runs_of(records, identity) for identity in identities]
    first = [min(runs, key=lambda record: record.seed) for runs in of_settings if runs]
    read = [(record, _read(record)) for record in first]
    found = [(record, blocks) for record, blocks in read if blocks]
    if not found:
        return None
    names = list(found[0][1])
    chosen = _plain_and_penalty([record for record, _ in found])
    pictures = []
    for layer, name in enumerate(names):
        own = [(setting, record, blocks[name]) for setting, (record, blocks) in enumerate(found) if name in blocks]
        # one scale for a layer, so that settings can be compared
        limit = max(float(np.abs(parts).max()) for _, _, block in own for parts in _parts(block)) or 1.0
        for setting, record, block in own:
            shown = layer == 0 and setting in chosen
            pictures.append(_picture((layer, setting), block, limit, _norms(record, name), shown))
    return KernelChooser(
        layers=names,
        settings=[f"{_label(record)}, seed {record.seed}" for record, _ in found],
        chosen=chosen,
        pictures=pictures,
        unreadable=[_label(record) for record, blocks in read if not blocks],
    )


def _runs_of(records: Sequence[RunRecord], identity: Identity) -> list[RunRecord]:
    return [record for record in records if record.identity == identity]


def _label(record: RunRecord) -> str:
    return model_label(record.description.run.model_dump())


def _plain_and_penalty(records: Sequence[RunRecord]) -> tuple[int, int]:
    """The two that are shown first: plain training and the penalty, where there are both."""
    kinds = [METHODS[record.description.run.method].kind for record in records]
    plain = kinds.index(Kind.PLAIN) if Kind.PLAIN in kinds else 0
    return plain, kinds.index(Kind.PENALTY) if Kind.PENALTY in kinds else len(kinds) - 1


def _read(record: RunRecord) -> Blocks:
    """The blocks of a run; none where the file is missing or no such file."""
    names = [row.name for row in record.description.layers]
    try:
        blocks = read_arrays(record.folder.kernels, (), optional=names)
    except InputError:
        return {}
    fits = all(block.ndim == 5 and len(block) == 2 and np.isfinite(block).all() for block in blocks.values())
    return blocks if fits else {}


def _parts(block: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    weight, projected = block
    return [weight, projected, weight - projected]


def _picture(
    place: tuple[int, int], block: NDArray[np.float32], limit: float, norms: str, shown: bool
) -> KernelPicture:
    _, n_out, n_in, height, width = block.shape
    sheets = [part.transpose(0, 2, 1, 3).reshape(n_out * height, n_in * width) for part in _parts(block)]
    pictures = [data_address(error_image(sheet, limit)) for sheet in sheets]
    return KernelPicture(
        layer=place[0],
        setting=place[1],
        pictures=list(zip(_PARTS, pictures, strict=True)),
        n_out=n_out,
        n_in=n_in,
        norms=norms,
        limit=scientific(limit),
        shown=shown,
    )


def _norms(record: RunRecord, name: str) -> str:
    """The norms of a layer as training wrote them; those of the whole layer, not of the block that is drawn."""
    rows: list[Any] = [row for row in record.description.layers if row.name == name]
    if not rows:
        return ""
    equivariant, perpendicular = rows[0].norm_equivariant, rows[0].norm_perpendicular
    values = (math.hypot(equivariant, perpendicular), equivariant, perpendicular)
    return ", ".join(f"‖{part}‖ = {scientific(value, 3)}" for part, value in zip(_PARTS, values, strict=True))
