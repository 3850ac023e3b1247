"""The machine in words that identify no machine: models and sizes, no name of a host or a user."""

import os
import platform
import re
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

# vector instructions that decide which kernels torch and oneDNN take; their order is that of age
_INSTRUCTIONS = re.compile(r"(?:sse4_2|avx\w*|fma|f16c|amx\w*|asimd\w*|sve\w*|bf16|i8mm)")
# variables that limit which kernels are taken, see docs/decisions, 30
_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "OMP_NUM_THREADS")
_GIGABYTE = 1e9


class Hardware(BaseModel):
    """A machine: processor, its instructions, kernels in use, size, GPUs.

    Attributes:
        processor: model of the processor.
        architecture: as ``uname -m`` says it.
        instructions: vector instructions that the processor has.
        kernels: which of them torch uses.
        limits: environment variables that hold torch to fewer.
        cores: logical cores, and how many this process may use.
        memory_gb: main memory [10⁹ bytes].
        gpus: models of the GPUs that torch sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    architecture: str
    instructions: list[str]
    kernels: str
    limits: dict[str, str]
    cores: int
    usable_cores: int
    memory_gb: float
    gpus: list[str]


def this_machine() -> Hardware:
    """The machine that this process runs on."""
    lines = _processor_lines()
    flags = next((lines[name] for name in ("flags", "Features") if name in lines), "")
    return Hardware(
        processor=lines.get("model name") or platform.processor() or "unknown",
        architecture=platform.machine(),
        instructions=sorted(flag for flag in set(flags.split()) if _INSTRUCTIONS.fullmatch(flag)),
        kernels=torch.backends.cpu.get_cpu_capability(),
        limits={name: os.environ[name] for name in _LIMITS if name in os.environ},
        cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIGABYTE, 1),
        gpus=[torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    )


def _processor_lines() -> dict[str, str]:
    """What Linux says of the first processor, empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
