"""Where networks run, how exactly their convolutions compute there, and how much memory that takes."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
