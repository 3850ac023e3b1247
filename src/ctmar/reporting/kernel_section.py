"""What other kernels changed in a study, where somebody ran it under several (``benchmarks/kernels.py``)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctmar.config.labels import MISSING, number, scientific
from ctmar.errors import InputError
from ctmar.evaluation.verdicts import PRIMARY

_KEYS = {"settings", "diverged", "processors", "verdicts", "measures"}
_SHOWN = {  # measures that stand in the report, the others in the file
    "psnr_db": "PSNR [dB]",
    "psnr_diff_db": "PSNR difference to plain [dB]",
    "relative_non_equivariance": "‖W−PW‖ / ‖W‖",
    "defect": "measured defect",
    "defect_of_correction": "measured defect of the correction",
}


@dataclass(frozen=True)
class KernelSection:
    """A sentence; settings and the verdicts under each that are shown; spreads of measures: name, models, texts."""

    sentence: str
    settings: list[str]
    verdicts: list[dict[str, Any]]
    spreads: list[tuple[str, int, str, str]]


def read_kernels(path: Path) -> KernelSection | None:
    """Read the comparison of a study with itself; None where it was not made.

    Raises:
        InputError: the file is no such comparison.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict) or not found.keys() >= _KEYS:
        raise InputError(
            f"{path}: expected the keys {', '.join(sorted(_KEYS))}, as `ctmar reproduce --output` writes them"
        )
    return _section(found)


def _section(found: dict[str, Any]) -> KernelSection:
    differing = [row for row in found["verdicts"] if len(set(row["verdict"])) > 1]
    primary = [row for row in found["verdicts"] if row["role"] == PRIMARY]
    n_same = sum(row not in differing for row in primary)
    settings = [
        f"{name} ({processor}{f', {n_diverged} diverged' if n_diverged else ''})"
        for name, processor, n_diverged in zip(found["settings"], found["processors"], found["diverged"], strict=True)
    ]
    return KernelSection(
        sentence=f"{n_same} of {len(primary)} primary verdicts and {len(found['verdicts']) - len(differing)} of all"
        f" {len(found['verdicts'])} are the same under {len(settings)} settings of kernels.",
        settings=settings,
        verdicts=[*primary, *(row for row in differing if row["role"] != PRIMARY)],
        spreads=[
            (_SHOWN[row["measure"]], row["n_models"], scientific(row["largest_spread"]), _share(row["median_share"]))
            for row in found["measures"]
            if row["measure"] in _SHOWN
        ],
    )


def _share(value: float | None) -> str:
    return MISSING if value is None else number(value)
