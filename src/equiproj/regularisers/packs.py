"""All weights of a module as few long rows, projected and cut into matrices in one gather each.

A training step on small layers is as long as its number of calls, not of entries: small weights therefore share a row.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from equiproj.layers import TypedParameter
from equiproj.norms import CustomNorm, Norm
from equiproj.projections import ConvProjector, OrbitAverage, Projector
from equiproj.regularisers.bundles import Bundle, as_matrices, widened

# Above this many entries a bundle's arithmetic takes longer than its calls: it keeps rows of its own, one per weight,
# whose short index tables all its weights share.
_N_ENTRIES_SHARED = 2**16
# On a CPU rows of more entries than this are taken one after the other: what is computed of them stays in its cache.
_N_ENTRIES_CACHED = 2**20
# The calls for one more stack take about as long as this many entries of padding.
_N_ENTRIES_PADDED = 2**15

# Entries of PW or W − PW below this many roundings of the layer's largest weight count as zero.
_N_ROUNDINGS = 16


class WeightPack:
    """Weights of one device and precision as rows (n_rows, n_entries), the same kinds of weights in every row.

    Args:
        bundles: one bundle, each of its weights a row, or several that share one row.
    """

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        self.parameters: tuple[TypedParameter, ...] = tuple(p for entry in bundles for p in entry.parameters)
        shares = len(bundles) > 1
        in_a_row = self.parameters if shares else self.parameters[:1]
        self.projectors = tuple(parameter.projector for parameter in in_a_row)
        self.n_rows = len(self.parameters) // len(in_a_row)
        self._shapes = [parameter.peek().shape for parameter in self.parameters]
        self._sizes = [shape.numel() for shape in self._shapes]
        self.n_entries = sum(self._sizes) // self.n_rows
        maps = [projector.flat_map for projector in self.projectors]
        orbits = [each for each in maps if isinstance(each, OrbitAverage)]
        self.project: Callable[[Tensor], Tensor] = OrbitAverage.joined(orbits) if shares else maps[0]

    def read(self) -> list[Tensor]:
        """Current values in the shapes that the layers hold, with their autograd history."""
        return [parameter.read_as_held() for parameter in self.parameters]

    def read_gradients(self) -> list[Tensor]:
        """What the last backward passes left in `.grad`, in the shapes of `read`; zero for frozen weights.

        Raises:
            RuntimeError: a weight that is trained has no gradient.
        """
        return [parameter.read_gradient() for parameter in self.parameters]

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """Values as rows (n_rows, n_entries), in float32 or wider."""
        return widened(torch.cat([value.reshape(-1) for value in values]).view(self.n_rows, -1))

    def as_rows(self, values: Sequence[Tensor]) -> Tensor:
        """As `join`, of a single value without a copy."""
        return self.join(values) if len(values) > 1 else widened(values[0].reshape(1, -1))

    def split(self, rows: Tensor) -> list[Tensor]:
        """Rows as values, in the order and the shapes of `read`."""
        parts = rows.reshape(-1).split(self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def spread(self, vector: Tensor) -> Tensor:
        """One number for each weight (n_parameters,), as rows, or as what broadcasts to rows (n_rows, 1)."""
        if len(self.parameters) == self.n_rows:
            return vector.view(-1, 1)
        return torch.cat([one.expand(size) for one, size in zip(vector.unbind(), self._sizes, strict=True)])[None]

    def sums(self, rows: Tensor) -> Tensor:
        """The sum over each weight (n_parameters,)."""
        if len(self.parameters) == self.n_rows:
            return rows.sum(-1)
        return torch.stack([part.sum() for part in rows.reshape(-1).split(self._sizes)])


def pack(bundles: Sequence[Bundle]) -> list[WeightPack]:
    """Let small bundles of one device and precision share a row where the group permutes their entries.

    Examples:
        >>> from torch import nn
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.layers import typed_parameters
        >>> from equiproj.regularisers.bundles import bundle
        >>> network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 512), nn.Linear(512, 512), nn.Linear(512, 1))
        >>> [len(entry.parameters) for entry in pack(bundle(typed_parameters(network, CyclicGroup(4))))]
        [3, 1]
    """
    shared: dict[object, list[Bundle]] = {}
    for entry in bundles:
        value = entry.parameters[0].peek()
        n_entries = len(entry.parameters) * value.numel()
        shares = isinstance(entry.projector.flat_map, OrbitAverage) and n_entries <= _N_ENTRIES_SHARED
        if shares:
            shared.setdefault((value.device, value.dtype), []).append(entry)
            continue
        n_rows = max(1, _N_ENTRIES_CACHED // value.numel()) if value.device.type == "cpu" else len(entry.parameters)
        for start in range(0, len(entry.parameters), n_rows):
            own = Bundle(entry.projector, entry.parameters[start : start + n_rows])
            shared[own] = [own]
    return [WeightPack(together) for together in shared.values()]


class MatrixStacks:
    """The weights of a pack as stacks of matrices, padded with zeros where that saves calls and changes no norm.

    A matrix has a row for each output channel (`as_matrices`). Norms of entries see it as one long row, those of
    singular values with the smaller side first; a norm of one's own sees it as it is.

    Args:
        weights: the pack.
        norm: what the matrices are for.
    """

    def __init__(self, weights: WeightPack, norm: Norm | CustomNorm) -> None:
        self._tables: dict[torch.device, tuple[list[Tensor], Tensor]] = {}
        self._view = _view_of(weights.projectors[0], norm) if len(weights.projectors) == 1 else None
        if self._view is not None:  # without tables, which would take more memory than a large weight
            self.n_entries = [torch.tensor([[[math.prod(self._view.shape)]]], device="cpu")]
            return
        tables, n_entries = [], 0
        for projector in weights.projectors:
            size = math.prod(projector.weight_shape)
            entries = torch.arange(n_entries, n_entries + size, device="cpu").view(1, *projector.weight_shape)
            tables.append(_seen_by(norm, as_matrices(entries, projector)[0]))
            n_entries += size
        stacks = [_padded(stack, n_entries) for stack in _stacked(tables, norm)]
        # where each entry stands among those of all stacks
        everywhere = torch.cat([stack.flatten() for stack in stacks])
        back = everywhere.new_empty(n_entries + 1).scatter_(
            0, everywhere, torch.arange(everywhere.numel(), device="cpu")
        )[:-1]
        self._padded = everywhere.numel() > n_entries
        self._shapes = [stack.shape for stack in stacks]
        self.n_entries = [
            torch.tensor([int((m < n_entries).sum()) for m in stack], device="cpu").view(-1, 1, 1) for stack in stacks
        ]
        self._tables[torch.device("cpu")] = [stack.flatten() for stack in stacks], back

    def cut(self, rows: Tensor) -> list[Tensor]:
        """Rows (n_rows, n_entries) as stacks (n_rows, n_matrices, rows, columns)."""
        if self._view is not None:
            matrices = rows.unflatten(-1, (1, *self._view.shape))
            return [matrices.mT.contiguous() if self._view.is_transposed else matrices]
        stacks, _ = self._on(rows.device)
        padded = torch.nn.functional.pad(rows, (0, 1)) if self._padded else rows
        return [
            padded.index_select(-1, stack).unflatten(-1, shape)
            for stack, shape in zip(stacks, self._shapes, strict=True)
        ]

    def paste(self, stacks: Sequence[Tensor]) -> Tensor:
        """The rows of which these are the stacks; what stands on padding is dropped."""
        if self._view is not None:
            return (stacks[0].mT if self._view.is_transposed else stacks[0]).flatten(1)
        flat = [stack.flatten(1) for stack in stacks]
        return (flat[0] if len(flat) == 1 else torch.cat(flat, dim=-1)).index_select(-1, self._on(flat[0].device)[1])

    def _on(self, device: torch.device) -> tuple[list[Tensor], Tensor]:
        if device not in self._tables:
            stacks, back = self._tables[torch.device("cpu")]
            self._tables[device] = ([stack.to(device) for stack in stacks], back.to(device))
        return self._tables[device]


def not_rounding(part: Tensor, weights: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """1 where an entry is no rounding of the projection, else 0: a norm would push along that too (equation 6.5).

    Args:
        part: PW or W − PW of a stack of weights.
        weights: the stack.
        dim: axes of one weight.

    Examples:
        >>> not_rounding(torch.tensor([[1e-9, 0.5]]), torch.ones(1, 2), dim=1)
        tensor([[0., 1.]])
    """
    largest = weights.abs().amax(dim, keepdim=True)
    # in place, so that the result has the precision of the weights: booleans are slow to multiply with
    return part.abs().gt_(_N_ROUNDINGS * torch.finfo(weights.dtype).eps * largest)


class _View(NamedTuple):
    """The matrix that a weight is as it is stored, and whether the norm sees it transposed."""

    shape: tuple[int, int]
    is_transposed: bool


def _view_of(projector: Projector, norm: Norm | CustomNorm) -> _View | None:
    """As `_seen_by`, where nothing has to be gathered: but for kernels that are stored (c_in, c_out, *k)."""
    n_rows, n_entries = projector.weight_shape[0], math.prod(projector.weight_shape)
    if _is_of_entries(norm):
        return _View((1, n_entries), is_transposed=False)
    if projector.transposed and isinstance(projector, ConvProjector):
        return None
    is_tall = n_rows**2 > n_entries
    return _View((n_rows, n_entries // n_rows), is_tall if norm.schatten_order is not None else projector.transposed)


def _is_of_entries(norm: Norm | CustomNorm) -> bool:
    return norm.schatten_order == 2 or (isinstance(norm, Norm) and norm.kind == "entrywise")


def _seen_by(norm: Norm | CustomNorm, table: Tensor) -> Tensor:
    """The entries of a matrix, arranged as the norm is computed fastest."""
    if _is_of_entries(norm):
        return table.reshape(1, -1)
    return table.T if norm.schatten_order is not None and table.shape[0] > table.shape[1] else table


def _stacked(tables: Sequence[Tensor], norm: Norm | CustomNorm) -> list[list[Tensor]]:
    """Matrices that are padded to the size of the first of their stack."""
    limit = 0 if isinstance(norm, CustomNorm) else _N_ENTRIES_PADDED
    stacks: list[list[Tensor]] = []
    for table in sorted(tables, key=torch.Tensor.numel, reverse=True):
        for stack in stacks:
            n_rows, n_columns = stack[0].shape
            # the time for singular values grows with the cube of the smaller side
            fits = table.shape[0] == n_rows if norm.schatten_order is not None else table.shape[0] <= n_rows
            padding = (len(stack) + 1) * n_rows * n_columns - sum(t.numel() for t in (*stack, table))
            if fits and table.shape[1] <= n_columns and padding <= limit:
                stack.append(table)
                break
        else:
            stacks.append([table])
    return stacks


def _padded(stack: Sequence[Tensor], padding: int) -> Tensor:
    rows, columns = stack[0].shape
    return torch.stack(
        [
            torch.nn.functional.pad(table, (0, columns - table.shape[1], 0, rows - table.shape[0]), value=padding)
            for table in stack
        ]
    )
