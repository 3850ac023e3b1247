"""How a group element moves a whole batch: images, features, sequences, and dictionaries or tuples of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from equiproj.groups import Group
from equiproj.groups.group import Element
from equiproj.layers import FeatureType
from equiproj.layers.declaration import MisfitError, filling
from equiproj.representations import Representation
from equiproj.representations.action import move_pixels

# What moves in a batch: a type for the channels, types by axis, or one of these for every entry by name or position.
BatchType = FeatureType | Mapping[int, FeatureType] | Mapping[str, "BatchType | None"] | tuple["BatchType | None", ...]
_IMAGE_AXES = (4, 5)  # (n, c, h, w) and (n, c, d, h, w)


def move_tensor(tensor: Tensor, element: Element, group: Group, types: BatchType | None, where: str) -> Tensor:
    """One tensor moved by a group element.

    A type alone is that of axis 1 of images (n, c, h, w) and volumes (n, c, d, h, w), whose pixels move too, and of
    the last axis of features (n, c) and of sequences or point clouds (n, points, c). A mapping gives a type to every
    axis that moves: `{1: standard(SymmetricGroup(9))}` permutes nine points. None is `trivial`, for images alone.

    Args:
        tensor: what moves.
        element: the group element.
        group: its group.
        types: as above.
        where: what to call the tensor in messages.

    Raises:
        ValueError: no type for features, or one that does not fit.

    Examples:
        >>> from equiproj.groups import SymmetricGroup
        >>> from equiproj.representations import standard
        >>> group, points = SymmetricGroup(3), torch.tensor([[[0.0], [1.0], [2.0]]])
        >>> move_tensor(points, (1, 2, 0), group, {1: standard(group)}, "batch").flatten().tolist()
        [2.0, 0.0, 1.0]
    """
    is_image = tensor.ndim in _IMAGE_AXES
    if types is None:
        if not is_image:
            raise ValueError(
                f"expected a type for {where}, features of shape {tuple(tensor.shape)}: only images (n, c, h, w) and "
                "volumes (n, c, d, h, w) are 'trivial' by default; give rho_in= and rho_out="
            )
        types = "trivial"
    if isinstance(types, tuple):
        raise ValueError(f"expected one type for {where}, a tensor, found {types}")
    if isinstance(types, Mapping):
        for axis, each in types.items():
            if not isinstance(axis, int) or not isinstance(each, str | Representation):
                raise ValueError(f"expected types of axes for {where}, a tensor, found {types}")
            tensor = move_axis(tensor, axis, element, _fitted(tensor, axis, each, group, where))
        return tensor
    axis = 1 if is_image else -1
    tensor = move_axis(tensor, axis, element, _fitted(tensor, axis, types, group, where))
    return move_pixels(tensor, _as_value(element), group, tensor.ndim - 2) if is_image else tensor


def _as_value(element: Element) -> Element:
    """A matrix of SO(3) as a value that can be looked up."""
    return tuple(map(tuple, element.tolist())) if isinstance(element, np.ndarray) else element


def _fitted(tensor: Tensor, axis: int, each: FeatureType, group: Group, where: str) -> Representation:
    if isinstance(each, Representation) and each.group != group:
        raise ValueError(f"expected a type of {group} for {where}, found {each}")
    if not -tensor.ndim <= axis < tensor.ndim or not tensor.shape[axis]:
        raise ValueError(f"expected entries on axis {axis} of {where}, found shape {tuple(tensor.shape)}")
    try:
        return filling(tensor.shape[axis], each, group)
    except MisfitError as error:
        raise MisfitError(f"axis {axis} of {where} has {tensor.shape[axis]} entries; {error}") from None


def move_axis(tensor: Tensor, axis: int, element: Element, rho: Representation) -> Tensor:
    """One axis of a tensor moved by ρ(g).

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> move_axis(torch.tensor([[1.0, 2.0, 3.0]]), 1, 1, regular(CyclicGroup(3)))
        tensor([[3., 1., 2.]])
    """
    destination = rho.permutation(element)
    if destination is not None:
        return tensor.index_select(axis, torch.from_numpy(np.argsort(destination)).to(tensor.device))
    return torch.tensordot(tensor, rho(element).to(tensor), dims=([axis], [1])).movedim(-1, axis)


def move_batch(batch: Any, types: BatchType | None, move: Callable[[Tensor, BatchType | None, str], Tensor]) -> Any:
    """Move every tensor of a batch that has a type; in a dictionary or tuple the others stay.

    Raises:
        ValueError: numbers that are not whole have no type, by name, or a type has no tensor.

    Examples:
        >>> batch = {"x": torch.ones(1), "mask": torch.ones(1)}
        >>> move_batch(batch, {"x": "trivial", "mask": None}, lambda x, types, where: 2 * x)
        {'x': tensor([2.]), 'mask': tensor([1.])}
    """
    if isinstance(batch, Tensor):
        return move(batch, types, "the batch")
    moved = dict(_entries(batch))
    given = dict(_types_of(batch, types, "rho_in"))
    for key, value in moved.items():
        if key not in given and isinstance(value, Tensor) and value.is_floating_point():
            raise ValueError(f"expected rho_in= to have a type, or None, for entry {key!r} of the batch, found none")
        if given.get(key) is not None:
            moved[key] = move(value, given[key], f"entry {key!r} of the batch")
    return moved if isinstance(batch, Mapping) else tuple(moved.values())


def is_moved(batch: Any, moved: Any) -> bool:
    """Whether any tensor of a batch is another one after a group element has acted on it.

    Examples:
        >>> is_moved({"x": torch.zeros(2)}, {"x": torch.zeros(2)}), is_moved(torch.zeros(2, 3), torch.zeros(3, 2))
        (False, True)
    """
    if isinstance(batch, Tensor):
        return not torch.equal(batch, moved)
    pairs = zip(_entries(batch), _entries(moved), strict=True)
    return any(is_moved(value, other) for (_, value), (_, other) in pairs if isinstance(value, Tensor))


def measured_tensors(output: Any, types: BatchType | None) -> Iterator[tuple[str, Tensor, BatchType | None]]:
    """The tensors of an output that have a type, what to call them, and the type.

    Raises:
        ValueError: an output of several tensors without types, or a type without a tensor.

    Examples:
        >>> output = {"logits": torch.zeros(2, 3), "hidden": torch.zeros(2, 8)}
        >>> [where for where, *_ in measured_tensors(output, {"logits": "trivial"})]
        ["entry 'logits' of the output"]
    """
    if isinstance(output, Tensor):
        yield "the output", output, types
        return
    entries = dict(_entries(output))
    for key, each in _types_of(output, types, "rho_out"):
        if each is None:
            continue
        where, value = f"entry {key!r} of the output", entries[key]
        if isinstance(value, Tensor):
            yield where, value, each
        else:
            yield from ((f"{name} in {where}", tensor, rho) for name, tensor, rho in measured_tensors(value, each))


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((entry.name, getattr(value, entry.name)) for entry in fields(value))
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
    else:
        raise ValueError(f"expected a tensor, or a dictionary or tuple of tensors, found {type(value).__name__}")


def _types_of(value: Any, types: BatchType | None, argument: str) -> Iterator[tuple[Any, BatchType | None]]:
    entries = dict(_entries(value))
    listed = dict(enumerate(types)) if isinstance(types, tuple) else types
    if not isinstance(listed, Mapping):
        raise ValueError(
            f"expected {argument}= to have a type for entries of {list(entries)}, as a dictionary or tuple, "
            f"found {types} for a {type(value).__name__}"
        )
    for key, each in listed.items():
        if key not in entries:
            raise ValueError(f"expected {argument}= to name entries of {list(entries)}, found {key!r}")
        yield key, each
