"""Projections of weights onto equivariant maps, as values that are built once and applied to many weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from equiproj.projections.routes import Route, is_sampled, weight_map
from equiproj.projections.self_adjoint import self_adjoint
from equiproj.representations import Representation


@dataclass(frozen=True)
class LinearProjector:
    """Orthogonal projection of ``torch.nn.Linear`` weights onto equivariant maps (equation 3.1).

    Args:
        rho_in: representation on the input features.
        rho_out: representation on the output features, of the same group.
        route: "spatial" averages over the group, "spectral" over blocks of irreps; by default spatial for
            finite groups and spectral for continuous ones.
        transposed: True for weights (c_in, c_out), as those of an embedding.

    Attributes:
        weight_shape: shape of the weights.
        flat_map: the projection of flattened weights (..., n_entries), outside autograd.

    Raises:
        ValueError: if the groups differ, the route is unknown, or a continuous group takes the spatial one.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import regular
        >>> projector = LinearProjector(regular(CyclicGroup(2)), regular(CyclicGroup(2)))
        >>> projector(torch.tensor([[1.0, 2.0], [4.0, 5.0]])).tolist()
        [[3.0, 3.0], [3.0, 3.0]]
    """

    rho_in: Representation
    rho_out: Representation
    route: Route | None = None
    transposed: bool = False
    weight_shape: tuple[int, ...] = field(init=False, repr=False, compare=False)
    flat_map: Callable[[Tensor], Tensor] = field(init=False, repr=False, compare=False)
    n_blocks = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight_shape", tuple(rho.dim for rho in self.axes))
        object.__setattr__(self, "flat_map", weight_map(*self.axes, (), 1, self.route))

    @property
    def axes(self) -> tuple[Representation, Representation]:
        """Representations on the first and the second weight axis."""
        return (self.rho_in, self.rho_out) if self.transposed else (self.rho_out, self.rho_in)

    def __call__(self, weight: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "*batch rows columns"]:
        """Project weights with any leading batch axes."""
        _check_weight(weight, self.weight_shape, *self.axes)
        return self_adjoint(weight.flatten(-2), self.flat_map).reshape(weight.shape)


@dataclass(frozen=True)
class ConvProjector:
    """Orthogonal projection of convolution kernels onto equivariant ones (equations 3.5 and 3.6).

    A finite group that maps the pixels onto each other has exact kernels. Other turns (C_8 on 3 × 3) and continuous
    groups have *sampled* ones, equivariant up to their sampling (:func:`~equiproj.projections.turning_error` measures
    it): ``is_sampled`` says so.

    With ``n_blocks`` > 1 (``groups=`` of torch) the projection is onto the equivariant kernels that keep the
    block sparsity: entries that the group would move out of the blocks become zero.

    Args:
        rho_in: representation on the input channels.
        rho_out: representation on the output channels, of the same group.
        kernel_shape: kernel sizes in pixels, 1 to 3 axes; the centre of an even size lies between pixels.
        transposed: True for ``torch.nn.ConvTranspose*``, whose weights are (c_in, c_out / n_blocks, *kernel).
        n_blocks: ``groups`` of the torch layer.
        route: as in :class:`LinearProjector`, or a :class:`~equiproj.projections.Sampling` for sampled kernels of one's
            own rings, of any group; by default kernels are sampled where the group does not map pixels onto pixels.

    Attributes:
        weight_shape: shape of the weights.
        flat_map: the projection of flattened weights (..., n_entries), outside autograd.

    Raises:
        ValueError: if the groups differ, the group turns axes of different sizes, the channels do not divide into the
            blocks, or the route is unknown or unavailable.

    Examples:
        >>> import torch
        >>> from equiproj.groups import CyclicGroup
        >>> from equiproj.representations import trivial
        >>> image = trivial(CyclicGroup(4))
        >>> ConvProjector(image, image, (2, 2))(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).flatten().tolist()
        [3.0, 3.0, 3.0, 3.0]
    """

    rho_in: Representation
    rho_out: Representation
    kernel_shape: tuple[int, ...]
    transposed: bool = False
    n_blocks: int = 1
    route: Route | None = None
    weight_shape: tuple[int, ...] = field(init=False, repr=False, compare=False)
    flat_map: Callable[[Tensor], Tensor] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.kernel_shape) <= 3:
            raise ValueError(f"expected a kernel with 1 to 3 axes, found shape {tuple(self.kernel_shape)}")
        for name, rho in (("input", self.rho_in), ("output", self.rho_out)):
            if self.n_blocks < 1 or rho.dim % self.n_blocks:
                raise ValueError(f"expected {name} channels divisible by groups={self.n_blocks}, found {rho.dim}")
        project = weight_map(*self.axes, tuple(self.kernel_shape), self.n_blocks, self.route)
        rows, columns = self.axes
        shape = (rows.dim, columns.dim // self.n_blocks, *self.kernel_shape)
        object.__setattr__(self, "weight_shape", shape)
        object.__setattr__(self, "flat_map", project)

    @property
    def is_sampled(self) -> bool:
        """Whether projected kernels are equivariant up to sampling alone."""
        return is_sampled(self.rho_in.group, tuple(self.kernel_shape), self.route)

    @property
    def axes(self) -> tuple[Representation, Representation]:
        """Representations on the first and the second weight axis."""
        # A transposed layer swaps the axes and nothing else: its kernel is not flipped (equation 3.7).
        return (self.rho_in, self.rho_out) if self.transposed else (self.rho_out, self.rho_in)

    def __call__(self, weight: Tensor) -> Tensor:
        """Project weights ``(*batch, c_out, c_in / n_blocks, *kernel)``."""
        _check_weight(weight, self.weight_shape, *self.axes)
        flat = weight.flatten(-len(self.weight_shape))
        return self_adjoint(flat, self.flat_map).reshape(weight.shape)


def _check_weight(
    weight: Tensor, shape: tuple[int, ...], rho_rows: Representation, rho_columns: Representation
) -> None:
    """Raise ValueError unless the weight ends in ``shape``."""
    if weight.ndim < len(shape):
        raise ValueError(f"expected a weight with {len(shape)} axes, found shape {tuple(weight.shape)}")
    found = tuple(weight.shape[-len(shape) :])
    for axis, rho in enumerate((rho_rows, rho_columns)):
        if found[axis] != shape[axis]:
            raise ValueError(f"expected {shape[axis]} channels on weight axis {axis} ({rho}), found {found[axis]}")
    if found != shape:
        raise ValueError(f"expected kernels of shape {shape[2:]}, found {found[2:]}")
