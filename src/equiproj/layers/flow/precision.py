"""A network computes in float64, whatever it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_LESS = (torch.float32, torch.bfloat16, torch.float16)
_CASTS = (Tensor.float, Tensor.bfloat16, Tensor.half)
_LIKE_ANOTHER = (Tensor.to, Tensor.type_as)


class InFloat64(TorchFunctionMode):
    """Takes every wish for fewer digits as one for float64, and makes new tensors in it.

    Normalisations often turn to float32 in between, whose rounding is 10⁸ times that of float64: it would look like a
    small defect, or hide one.

    Examples:
        >>> with InFloat64():
        ...     torch.ones(2).float().dtype, torch.ones(2, dtype=torch.float16).dtype
        (torch.float64, torch.float64)
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _CASTS:
            func = Tensor.double
        is_like_another = func in _LIKE_ANOTHER
        args = args[:1] + tuple(_wide(each, is_like_another) for each in args[1:]) if args else args
        out = func(*args, **{name: _wide(each, is_like_another) for name, each in (kwargs or {}).items()})
        is_new = isinstance(out, Tensor) and out.dtype in _LESS and not any(isinstance(a, Tensor) for a in args)
        return out.double() if is_new else out


def _wide(value: Any, is_like_another: bool) -> Any:
    if isinstance(value, Tensor):
        return value.double() if is_like_another and value.dtype in _LESS else value
    return torch.float64 if isinstance(value, torch.dtype) and value in _LESS else value
