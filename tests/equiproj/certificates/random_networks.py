"""Random small networks of every part that certificates cover, and an attack on their bounds."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from equiproj.certificates import DefectBound, LocalDefectBound
from equiproj.groups import CyclicGroup, DihedralGroup, FiniteGroup
from equiproj.representations import Representation, regular, trivial
from equiproj.representations.action import act

GROUPS: tuple[FiniteGroup, ...] = (CyclicGroup(2), CyclicGroup(4), DihedralGroup(4))
ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    lambda: nn.ReLU(inplace=True),
    lambda: nn.ELU(-3.0),
    lambda: nn.ELU(2.0, inplace=True),
    lambda: nn.LeakyReLU(-1.5),
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.SELU,
    nn.ReLU6,
    nn.Identity,
)


class Reused(nn.Module):
    """h + a(h), where the activation may change h in place before it is read again."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        changed = self.activation(features)
        return features + 0.5 * changed


class Beside(nn.Module):
    """A layer of the features and a pooled and enlarged copy of them, side by side."""

    def __init__(self, n_channels: int, pooling: nn.Module, enlarging: nn.Module) -> None:
        super().__init__()
        self.pooling, self.enlarging = pooling, enlarging
        self.layer = nn.Conv2d(2 * n_channels, n_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        copy = self.enlarging(self.pooling(features))
        joined = torch.cat((copy, features), dim=1)
        return self.layer(joined) + self.layer.bias[:, None, None]


Types = dict[str, tuple[Representation, Representation]]


def random_network(seed: int) -> tuple[nn.Module, FiniteGroup, Types, int]:
    """A network on images of 6 pixels, its group, the types of its layers and the number of its input channels."""
    torch.manual_seed(seed)
    choose = lambda options: options[int(torch.randint(len(options), ()))]  # noqa: E731
    group = choose(GROUPS)
    hidden = int(torch.randint(1, 3, ())) * regular(group)
    image = int(torch.randint(1, 3, ())) * trivial(group)
    parts: list[nn.Module] = [_first(image.dim, hidden.dim, choose)]
    types: Types = {"0": (image, hidden)}
    for _ in range(int(torch.randint(1, 4, ()))):
        kind = choose(("layer", "layer", "normalised", "reused", "beside"))
        if kind == "reused":
            parts.append(Reused(choose(ACTIVATIONS)()))
            continue
        parts.append(choose(ACTIVATIONS)())
        if kind == "beside":
            pooling = choose((nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(4, 2, 1), nn.AvgPool2d(3, 3)))
            mode = choose(("nearest", "bilinear"))
            types[f"{len(parts)}.layer"] = (2 * hidden, hidden)
            parts.append(Beside(hidden.dim, pooling, nn.Upsample(size=(6, 6), mode=mode)))
            continue
        types[str(len(parts))] = (hidden, hidden)
        groups = choose((1, 2)) if hidden.dim % 2 == 0 else 1
        parts.append(nn.Conv2d(hidden.dim, hidden.dim, 3, padding=1, groups=groups))
        if kind == "normalised":
            parts.append(_normalisation(hidden.dim))
    parts.append(choose(ACTIVATIONS)())
    types[str(len(parts))] = (hidden, image)
    parts.append(choose((nn.Conv2d(hidden.dim, image.dim, 1), nn.Conv2d(hidden.dim, image.dim, 2, stride=2))))
    network = nn.Sequential(*parts)
    with torch.no_grad():  # some layers far from equivariant, some near it
        for parameter in network.parameters():
            parameter.mul_(float(torch.rand(()) * 3))
    return network, group, types, image.dim


def _first(n_in: int, n_out: int, choose: Callable) -> nn.Module:
    return choose(
        (
            nn.Conv2d(n_in, n_out, 3, padding=1),
            nn.Conv2d(n_in, n_out, 3, padding=1, padding_mode="circular"),
            nn.Conv2d(n_in, n_out, 3, padding=2, dilation=2),
            nn.Conv2d(n_in, n_out, 5, padding="same"),
        )
    )


def _normalisation(n_channels: int) -> nn.Module:
    layer = nn.BatchNorm2d(n_channels)
    with torch.no_grad():
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.2, 3.0)
        layer.weight.normal_()
        layer.bias.normal_()
    return layer


def attack(network: nn.Module, group: FiniteGroup, bound: DefectBound, n_in: int, n_out: int, n_steps: int) -> float:
    """Largest defect over bound that gradient ascent from random images finds, over all elements of the group."""
    network.eval().requires_grad_(False)
    size = torch.tensor([0.01, 0.3, 3.0, 100.0])[:, None, None, None]
    images = (size * torch.randn(4, n_in, 6, 6)).requires_grad_(True)
    optimiser = torch.optim.Adam([images], lr=0.0)
    rho_in, rho_out = n_in * trivial(group), n_out * trivial(group)
    largest = 0.0
    for step in range(n_steps):
        g = group.elements[1 + step % (len(group.elements) - 1)]
        ratios = _ratios(network, group, g, bound, images, rho_in, rho_out)
        largest = max(largest, ratios.max().item())
        optimiser.zero_grad()
        (-ratios.sum()).backward()
        with torch.no_grad():  # a step along the gradient, as long as the image is large
            direction = images.grad / images.grad.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None, None]
            images -= 0.2 * images.flatten(1).norm(dim=1)[:, None, None, None] * direction
    return largest


def attack_near(
    network: nn.Module, group: FiniteGroup, bound: LocalDefectBound, centres: Tensor, n_out: int, n_steps: int
) -> float:
    """The same over images that are no farther than the bound's radius from the centres."""
    network.eval().requires_grad_(False)
    directions = torch.randn_like(centres).requires_grad_(True)
    types = centres.shape[1] * trivial(group), n_out * trivial(group)
    largest = 0.0
    for step in range(n_steps):
        g = group.elements[1 + step % (len(group.elements) - 1)]
        length = directions.detach().flatten(1).norm(dim=1)[:, None, None, None]
        images = centres + bound.radius * (1 - 1e-6) * directions / length
        defects = _defects(network, group, g, images, *types)
        largest = max(largest, defects.max().item() / bound.value)
        (gradient,) = torch.autograd.grad(defects.sum(), directions)
        with torch.no_grad():
            directions += (
                0.5 * length * gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None, None]
            )
    return largest


def _ratios(
    network: nn.Module,
    group: FiniteGroup,
    g: object,
    bound: DefectBound,
    images: Tensor,
    rho_in: Representation,
    rho_out: Representation,
) -> Tensor:
    limits = bound.slope * images.flatten(1).norm(dim=1) + bound.offset
    return _defects(network, group, g, images, rho_in, rho_out) / limits


def _defects(
    network: nn.Module, group: FiniteGroup, g: object, images: Tensor, rho_in: Representation, rho_out: Representation
) -> Tensor:
    difference = network(act(images.clone(), g, group, rho_in)) - act(network(images.clone()), g, group, rho_out)
    return difference.flatten(1).norm(dim=1)
