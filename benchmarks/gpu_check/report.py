"""The result as Markdown, and docs/gpu.md from the latest result that is kept in the repository.

python -m benchmarks.gpu_check.report [RESULT.json]      # make gpu-docs
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.bundle import ROOT
from benchmarks.gpu_check.result import write_json

KEPT = ROOT / "docs/gpu.json"
PAGE = ROOT / "docs/gpu.md"
RESULT = ROOT / "benchmarks/results/gpu_check/result.json"
INTRODUCTION = """# On a GPU

<!-- written by `make gpu-docs` from docs/gpu.json -->

`python -m benchmarks.gpu_check` runs everything of this project that is written for CUDA, on any machine with one
NVIDIA GPU, Python ≥ 3.11, torch ≥ 2.9, numpy, h5py, scipy, numba, pandas, rich and typer. It needs no network:
`make gpu-bundle` packs the rest and pairs of real CT beforehand. It fits in eight minutes; each part has a limit and a
process of its own, the most valuable first. Figures are medians with quartiles; targets that are missed are shown as
missed.
"""
NOT_YET = """
**Not yet run on a GPU.** What follows is the quick run of every part on a CPU: small networks and batches, seconds
each. It shows that the check works and says nothing about a GPU; no target is judged.
"""


def markdown(facts: dict[str, Any]) -> str:
    """Machine and figures of a result, one table for each part."""
    machine = facts["machine"]
    name = machine.get("card", machine["processor"])
    size = "quick run" if facts["quick"] else "full size"
    lines = [f"## {name}, {facts['started']}", "", f"Device {facts['device']}, {size}. " + described(machine), ""]
    for key, part in facts["parts"].items():
        lines += [f"### {key}: {part['title']}", ""]
        lines += [f"{ended(part)}.", ""]
        lines += table(part["rows"]) if part["rows"] else []
    return "\n".join(lines)


def described(machine: dict[str, Any]) -> str:
    """Versions, driver and limits in a sentence."""
    hidden = ("card", "processor")
    return (
        "; ".join(f"{name} {value}" for name, value in machine.items() if value is not None and name not in hidden)
        + "."
    )


def ended(part: dict[str, Any]) -> str:
    """How a part ended, how long it took, and the card's clocks meanwhile."""
    text = f"{part['outcome'].capitalize()} after {part['seconds']:.0f} s of {part['limit_s']:.0f} s"
    clocks = [f"{name} {low:g} / {middle:g} / {high:g}" for name, (low, middle, high) in part.get("clocks", {}).items()]
    return f"{text}; lowest / median / highest {', '.join(clocks)}" if clocks else text


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table."""
    lines = ["| figure | median | quartiles | n | unit | target |", "|---|---:|---:|---:|---|---|"]
    for row in rows:
        value = "—" if row["value"] is None else f"{row['value']:.4g}"
        spread = f"{row['low']:.4g} to {row['high']:.4g}" if row["n"] > 1 else ""
        verdict = {True: " met", False: " **missed**", None: " not judged" if row["target"] else ""}[row["met"]]
        name = f"{row['name']} ({row['note']})" if row["note"] else row["name"]
        lines.append(
            f"| {_cell(name)} | {value} | {spread} | {row['n'] or ''} | {row['unit']} | {row['target']}{verdict} |"
        )
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(facts: dict[str, Any]) -> str:
    """docs/gpu.md for a result."""
    return INTRODUCTION + ("\n" if facts["device"] == "cuda" else NOT_YET + "\n") + markdown(facts)


def keep(result: Path) -> None:
    """Take a result into the repository.

    Raises:
        SystemExit: there is none, or one of a GPU would give way to one of a CPU.
    """
    if not result.is_file():
        raise SystemExit(f"{result}: no result; run `make gpu-check` first")
    facts = json.loads(result.read_text(encoding="utf-8"))
    if KEPT.is_file() and facts["device"] == "cpu" and json.loads(KEPT.read_text())["device"] == "cuda":
        raise SystemExit(f"{KEPT}: holds a result of a GPU, which one of a CPU ({result}) does not replace")
    for part in facts["parts"].values():
        part.pop("log", None)  # paths of a machine
    write_json(KEPT, facts)
    PAGE.write_text(page(facts), encoding="utf-8")
    print(f"{PAGE}: {facts['machine'].get('card', 'no GPU')}, {facts['started']}")


if __name__ == "__main__":
    keep(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULT)
