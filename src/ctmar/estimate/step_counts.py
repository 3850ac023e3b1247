"""What a training step and a prediction of a network amount to, counted without computing them.

The network runs on torch's ``meta`` device: every operation happens, with shapes and without numbers. What is counted
is exact and the same on every machine: floating-point operations, operations, bytes that they read and write, and the
most bytes that live at once. A network of one's own that looks at its numbers cannot run there; it runs on one image of
32 × 32 pixels instead, and what it does there grows with the pixels.
"""

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ctmar.config import Network, Training
from ctmar.errors import InputError
from ctmar.estimate.work_counts import Counts, NetworkCounts
from ctmar.evaluation.turned import IMAGES_AT_ONCE
from ctmar.models.build import KEY, build_network
from ctmar.models.symmetry import study_group
from ctmar.training.losses import masked_mean_square, stage_loss
from ctmar.training.patches import Batch

_SMALL_SIDE = 32  # pixels of the side of the image on which a network runs that refuses the meta device
_CHANNELS = 3


class _Ledger(TorchDispatchMode):
    """Counts every operation, and how many bytes of the storages that it makes live at once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.bytes_moved = self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [self._hold(tensor) for tensor in tree_leaves(result) if isinstance(tensor, Tensor)]
        if any(made) or func.__name__.partition(".")[0].endswith(
            "_"
        ):  # neither new nor in place: a view, which is free
            self.calls += 1
            tensors = [tensor for tensor in tree_leaves((args, kwargs, result)) if isinstance(tensor, Tensor)]
            self.bytes_moved += sum(tensor.nbytes for tensor in tensors)
        return result

    def _hold(self, tensor: Tensor) -> bool:
        """Whether the storage of a tensor is new; it is counted until nobody holds it."""
        storage = tensor.untyped_storage()
        if id(storage) in self._known:
            return False
        self._known.add(id(storage))
        self.alive += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._release, id(storage), storage.nbytes())
        return True

    def _release(self, key: int, n_bytes: int) -> None:
        self._known.discard(key)
        self.alive -= n_bytes


def count_network(network: Network, training: Training, group: str, image_size: int) -> NetworkCounts:
    """Count a training step (forward and backward pass of a part of the batch) and the prediction of a slice.

    What lives at once while slices are predicted is that of as many as an evaluation predicts at once.

    Args:
        network: architecture and settings; weights of a file are not read.
        training: batch, patch, accumulation and loss.
        group: of the study.
        image_size: rows and columns of a slice [pixels].

    Raises:
        InputError: the network cannot be built, or fails.
    """

    def build() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return build_network(network.architecture, **{"group_order": study_group(group).order, **network.settings})

    module = build()
    state_bytes = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    n_images = -(-training.batch_size // training.accumulation)
    step = _count(build, n_images, training.patch_size, partial(_forward_and_backward, training=training))
    n_slices = IMAGES_AT_ONCE[training.device]
    whole = _count(build, n_slices, image_size, _predict)
    of_a_slice = Counts(whole.flops / n_slices, whole.calls, whole.bytes_moved / n_slices, whole.peak_bytes)
    return NetworkCounts(state_bytes, step, of_a_slice)


def _count(
    build: Callable[[], nn.Module], n_images: int, side: int, work: Callable[[nn.Module, Batch], object]
) -> Counts:
    try:
        return _counted(work, build().to("meta"), _batch(n_images, side, "meta"))
    except Exception:  # somebody's own code can raise anything there; what is a mistake comes again below
        return _counted_small(build(), work).times(n_images * (side / _SMALL_SIDE) ** 2)


def _counted_small(module: nn.Module, work: Callable[[nn.Module, Batch], object]) -> Counts:
    try:
        return _counted(work, module, _batch(1, _SMALL_SIDE, "cpu"))
    except Exception as error:  # somebody's own code can raise anything
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"{KEY}: {type(module).__name__} fails on an image of {_SMALL_SIDE} × {_SMALL_SIDE}: {text}"
        ) from None


def _counted(work: Callable[[nn.Module, Batch], object], module: nn.Module, batch: Batch) -> Counts:
    with FlopCounterMode(display=False) as flops, _Ledger() as ledger:
        work(module, batch)
    return Counts(float(flops.get_total_flops()), ledger.calls, ledger.bytes_moved, ledger.peak)


def _batch(n_images: int, side: int, device: str) -> Batch:
    def image(n_channels: int) -> Tensor:
        return torch.ones(n_images, n_channels, side, side, device=device)

    return Batch(image(_CHANNELS), image(1), image(1))


def _forward_and_backward(module: nn.Module, batch: Batch, training: Training) -> None:
    module.train()
    module.zero_grad()
    if training.loss == "stages":
        outputs: Any = module.stage_outputs(batch.inputs)  # type: ignore[operator]
        stage_loss(outputs.images, outputs.artefacts, batch, training).backward()
    else:
        masked_mean_square(module(batch.inputs), batch).backward()


@torch.inference_mode()
def _predict(module: nn.Module, batch: Batch) -> None:
    module.eval()
    module(batch.inputs)
