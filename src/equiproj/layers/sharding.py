"""Weights that FSDP2 (`torch.distributed.fsdp.fully_shard`) has cut among processes: read whole, written in shards."""

from typing import Any

from torch import Tensor, nn


def is_sharded(value: Tensor) -> bool:
    """Whether a weight is a `DTensor`; asked of its method, because importing the class takes half a second.

    Examples:
        >>> import torch
        >>> is_sharded(torch.zeros(2))
        False
    """
    return hasattr(value, "full_tensor")


def gathered(value: Any) -> Tensor:
    """The weight itself, or gathered from all processes, each of which has to call this; with its autograd history.

    Examples:
        >>> import torch
        >>> gathered(torch.zeros(2))
        tensor([0., 0.])
    """
    return value.full_tensor() if is_sharded(value) else value


def write(held: Any, value: Tensor) -> None:
    """Give a weight the value, which every process has whole: of a sharded weight each keeps its shard.

    Examples:
        >>> import torch
        >>> held = torch.zeros(2)
        >>> write(held, torch.ones(2))
        >>> held
        tensor([1., 1.])
    """
    if is_sharded(held):
        from torch.distributed.tensor import distribute_tensor  # loaded already, where there is something sharded

        # without a source rank nothing is sent
        value = distribute_tensor(value.detach().to(held.dtype), held.device_mesh, held.placements, src_data_rank=None)
    held.copy_(value)


def reshard(module: nn.Module) -> None:
    """Give back the weights that a forward pass gathered and keeps for a backward pass.

    Until then a module of FSDP2 shows copies, and what is written into those is lost.

    Examples:
        >>> reshard(nn.Linear(2, 2))
    """
    for each in module.modules():
        if hasattr(type(each), "unshard") and hasattr(type(each), "reshard"):
            each.reshard()  # type: ignore[operator]
