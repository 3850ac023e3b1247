"""Where networks run, how exactly their convolutions compute there, and how much memory that takes."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import torch

from ctmar.errors import InputError

Convolutions = Literal["ieee", "tf32"]
_CUDNN: Any = torch.backends.cudnn  # a module that torch puts together at run time, unknown to a type checker


class MissingDeviceError(InputError):
    """Torch finds no such device on this machine; another may have one."""


def choose_device(name: str, key: str = "device") -> torch.device:
    """The device of that name, set up so that runs can be compared.

    Kernels of cuDNN are deterministic, and float32 means float32: torch would let convolutions round their operands to
    the ten bits of TF32, which alone makes an equivariant network differ from itself by 1e-3 on turned images.

    Args:
        name: ``cpu`` or ``cuda``.
        key: what the message names.

    Raises:
        MissingDeviceError: ``cuda`` is asked for where torch finds no GPU.

    Examples:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingDeviceError(f"{key}: expected a GPU for 'cuda', torch finds none; use 'cpu'")
    torch.backends.cudnn.deterministic = True
    _set_convolutions("ieee")
    return torch.device(name)


def _set_convolutions(precision: Convolutions) -> None:
    """Products of float32 convolutions on a GPU in this precision; matrix products stay float32."""
    # both, because torch refuses to answer its older flag where they differ
    _CUDNN.conv.fp32_precision = precision
    _CUDNN.rnn.fp32_precision = precision


@contextmanager
def convolutions_in(precision: Convolutions) -> Iterator[None]:
    """The same within a block."""
    before = _CUDNN.conv.fp32_precision
    _set_convolutions(precision)
    try:
        yield
    finally:
        _set_convolutions(before)


def device_name(device: torch.device) -> str:
    """The name of a GPU, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory so far in 10⁶ bytes: of the whole process on a CPU, of torch's allocator on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return _process_memory_mb()


def _process_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def system_facts(device: torch.device) -> dict[str, float]:
    """The most memory that the process has held and, on a GPU, how that one is used; takes less than a millisecond.

    Memory in 10⁶ bytes, utilisation in percent of the last sample period of the driver (up to a second), power in W,
    temperature in °C. What the driver does not tell (a part of a GPU has no utilisation) is left out. Other GPUs of the
    machine are somebody else's.
    """
    facts = {"process_memory_mb": _process_memory_mb()}
    if device.type != "cuda":
        return facts
    facts["gpu_memory_mb"] = torch.cuda.memory_reserved(device) / 1e6
    try:
        from pynvml import NVMLError  # only here: the GPU check runs where torch is and little else
    except ModuleNotFoundError:
        return facts
    readings: dict[str, Callable[[torch.device], float]] = {
        "gpu_utilisation_percent": torch.cuda.utilization,
        "gpu_power_w": lambda gpu: torch.cuda.power_draw(gpu) / 1000,
        "gpu_temperature_c": torch.cuda.temperature,
    }
    for name, reading in readings.items():
        with suppress(NVMLError, RuntimeError):
            facts[name] = float(reading(device))
    return facts
