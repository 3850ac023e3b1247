"""Which machine a result is of, and what its clocks do; the card is only looked at, never set."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

CLOCKS = ("clocks.sm", "clocks.mem", "temperature.gpu", "power.draw")
FACTS = ("name", "driver_version", "memory.total", "clocks.max.sm", "clocks.max.mem", "power.limit", "persistence_mode")
TORCH = """
import json, torch
facts = {"torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
if torch.cuda.is_available():
    card = torch.cuda.get_device_properties(0)
    facts |= {"card": card.name, "capability": f"{card.major}.{card.minor}"}
    facts |= {"memory_gb": round(card.total_memory / 1e9, 1)}
    facts |= {"multiprocessors": card.multi_processor_count, "cudnn": torch.backends.cudnn.version()}
print(json.dumps(facts))
"""


def ask_card(fields: tuple[str, ...]) -> dict[str, str]:
    """Answers of nvidia-smi for the first card; nothing where there is none."""
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.strip().splitlines()
    return dict(zip(fields, map(str.strip, lines[0].split(",")), strict=False)) if lines else {}


def describe(environment: dict[str, str], device: str) -> dict[str, Any]:
    """Card, driver, versions and processor.

    Raises:
        SystemExit: torch cannot be imported, or finds no GPU where one is asked for.
    """
    command = [sys.executable, "-c", TORCH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"torch: expected to be importable, found: {done.stderr.strip()[-500:]}")
    facts = json.loads(done.stdout)
    if device == "cuda" and "card" not in facts:
        raise SystemExit(
            "--device cuda: expected a GPU that torch can use, found none; --device cpu --quick needs none"
        )
    card = {f"nvidia_smi.{name}": value for name, value in ask_card(FACTS).items()} if device == "cuda" else {}
    here = {"python": platform.python_version(), "processor": _processor(), "cores": len(os.sched_getaffinity(0))}
    return facts | card | here


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
