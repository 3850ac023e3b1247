"""What a reproduction gave, for a terminal, and the exit code that follows."""

from enum import Enum
from pathlib import Path
from typing import Any

from ctmar.bundles.reproduction import Reproduction, Rerun
from ctmar.evaluation.kernels import comparison_table, turned_verdicts
from ctmar.evaluation.rerun import DIVERGED, differing_origins, psnr_spread

_PSNR = ("psnr_db", "psnr_diff_db")
_ROUNDING_DB = 1e-6  # other versions of numpy add in another order


class Outcome(Enum):
    """Exit codes."""

    SAME = 0
    BEYOND_TOLERANCE = 3
    VERDICT_TURNED = 4


def outcome(found: Reproduction, tolerance_db: float) -> Outcome:
    """The exit code of a reproduction."""
    comparisons = [(found.comparison, tolerance_db), (found.remade_comparison, _ROUNDING_DB)]
    present = [(comparison, tolerance) for comparison, tolerance in comparisons if comparison is not None]
    if any(set(turned_verdicts(comparison)) - found.by_times_alone for comparison, _ in present):
        return Outcome.VERDICT_TURNED
    one_diverged = any(name == DIVERGED for rerun in found.reruns for name, *_ in differing_origins(rerun.runs))
    beyond = any(largest_psnr(comparison) > tolerance for comparison, tolerance in present)
    return Outcome.BEYOND_TOLERANCE if beyond or one_diverged else Outcome.SAME


def largest_psnr(comparison: dict[str, Any]) -> float:
    """Largest spread of the PSNR of a model, or of its difference to plain [dB]."""
    spreads = [row["largest_spread"] for row in comparison["measures"] if row["measure"] in _PSNR]
    return max(spreads, default=0.0)


def text(found: Reproduction, bundle: Path, tolerance_db: float) -> str:
    """All that was found."""
    record = found.record
    lines = [
        f"{bundle}: study {record.study}, equiproj {record.code.version}"
        f"{f' at {record.code.commit}' if record.code.commit else ''}: the checksums of {found.n_files} files agree",
        _remade_line(found),
    ]
    for rerun in found.reruns:
        lines += ["", *_rerun_lines(rerun)]
    if found.comparison is None:
        lines += ["", "A re-run is compared with --against results/NAME; the bundle's README.md says how to make one."]
    else:
        lines += ["", comparison_table(found.comparison), "", *_verdict_lines(found, tolerance_db)]
    # texts of a bundle are anybody's, and a terminal obeys some letters
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in "\n".join(lines))


def _remade_line(found: Reproduction) -> str:
    n_same, n_all = sum(found.remade.values()), len(found.remade)
    line = f"summary made again from {found.record.runs.n_runs} runs: {n_same} of {n_all} tables equal byte for byte"
    if found.remade_comparison is None:
        return line
    others = ", ".join(name for name, same in found.remade.items() if not same)
    return f"{line}; others ({others}) differ by up to {largest_psnr(found.remade_comparison):.3g} dB of PSNR"


def _rerun_lines(rerun: Rerun) -> list[str]:
    compared = [pair for pair in rerun.runs if pair.weights_equal is not None]
    n_equal = sum(bool(pair.weights_equal) for pair in compared)
    weight = max((pair.largest_weight for pair in compared), default=0.0)
    largest, median, n_slices = psnr_spread(compared)
    lines = [
        f"{rerun.name}: weights of {n_equal} of {len(rerun.runs)} runs equal, bit for bit"
        + (f"; largest difference of a weight {weight:.3g}" if n_equal < len(compared) else ""),
        f"PSNR of {n_slices:,} measured slices: |difference| at most {largest:.3g} dB, in the median {median:.3g} dB",
    ]
    return lines + [
        f"  {name}: {one} in the bundle, {other} here ({n} of {len(rerun.runs)} runs)"
        for name, one, other, n in differing_origins(rerun.runs)
    ]


def _verdict_lines(found: Reproduction, tolerance_db: float) -> list[str]:
    assert found.comparison is not None
    turned, n_all = turned_verdicts(found.comparison), len(found.comparison["verdicts"])
    lines = [f"{n_all - len(turned)} of {n_all} verdicts are the same."]
    for claim in turned:
        why = "by the times of steps alone" if claim in found.by_times_alone else "by what was measured"
        lines.append(f"  turned {why}: {claim}")
    largest = largest_psnr(found.comparison)
    side = "within" if largest <= tolerance_db else "beyond"
    return [*lines, f"PSNR of a model differs by up to {largest:.3g} dB, {side} the tolerance of {tolerance_db:g} dB."]
