"""Certified bounds of the defect beside what gradient ascent finds, for deep networks.

``python -m benchmarks.certificate_tightness`` prints the table of docs/derivation.md, section 7.3 (some minutes).
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from equiproj.certificates import LayerConstants, certified_defect_bound, local_defect_bound
from equiproj.groups import CyclicGroup
from equiproj.representations import trivial
from equiproj.representations.action import act

GROUP = CyclicGroup(4)
N_CHANNELS, N_PIXELS = 16, 16
RADII = (0.001, 0.01, 0.1)  # of the image's norm


def network_of(depth: int, *, normalised: bool) -> tuple[nn.Module, nn.Sequential]:
    """Convolutions of 3 × 3 pixels with ReLU as torch initialises them; the same with normalisations multiplied in."""
    parts: list[nn.Module] = []
    fused: list[nn.Module] = []
    for layer in range(depth - 1):
        convolution = nn.Conv2d(N_CHANNELS if layer else 1, N_CHANNELS, 3, padding=1).eval()
        normalisation = nn.BatchNorm2d(N_CHANNELS).eval()
        torch.nn.init.normal_(normalisation.running_mean)
        torch.nn.init.uniform_(normalisation.running_var, 0.5, 2.0)
        parts += [convolution, *([normalisation] if normalised else []), nn.ReLU()]
        fused += [fuse_conv_bn_eval(convolution, normalisation) if normalised else convolution, nn.ReLU()]
    last = nn.Conv2d(N_CHANNELS, 1, 3, padding=1)
    networks = nn.Sequential(*parts, last), nn.Sequential(*fused, last)
    return networks[0].eval().requires_grad_(False), networks[1].eval().requires_grad_(False)


def by_recursion_alone(chain: nn.Sequential, layers: tuple[LayerConstants, ...]) -> tuple[float, float]:
    """Slope and offset by (7.2), which measures nothing at 0 and knows no cap."""
    slope = offset = size_offset = 0.0
    size_slope = 1.0
    for part, constants in zip(chain, layers, strict=True):
        if not isinstance(part, nn.Conv2d):
            continue
        slope = constants.lipschitz * slope + constants.commutator * size_slope
        offset = constants.lipschitz * offset + constants.commutator * size_offset + constants.bias_defect
        size_slope *= constants.lipschitz
        size_offset = constants.lipschitz * size_offset + N_PIXELS * float(part.bias.norm())
    return slope, offset


def largest_found(network: nn.Module, centre: Tensor, radius: float, n_steps: int) -> float:
    """Largest defect that gradient ascent finds within the radius of an image, at the centre or at the edge."""
    rho = trivial(GROUP)

    def defects(images: Tensor, g: int) -> Tensor:
        return (network(act(images, g, GROUP, rho)) - act(network(images), g, GROUP, rho)).flatten(1).norm(dim=1)

    directions = torch.randn(4, *centre.shape[1:]).requires_grad_(True)
    largest = max(defects(centre, g).item() for g in GROUP.elements)
    for step in range(n_steps if radius else 0):
        length = directions.detach().flatten(1).norm(dim=1)[:, None, None, None]
        found = defects(centre + radius * directions / length, 1 + step % (len(GROUP.elements) - 1))
        largest = max(largest, found.max().item())
        (gradient,) = torch.autograd.grad(found.sum(), directions)
        with torch.no_grad():
            directions += 0.3 * length * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    return largest


def row(depth: int, n_steps: int, *, normalised: bool) -> str:
    """A line of the table: every bound at the norm of one image, and how much of it was found."""
    torch.manual_seed(0)
    network, fused = network_of(depth, normalised=normalised)
    image = torch.randn(1, 1, N_PIXELS, N_PIXELS)
    norm = image.norm().item()
    everywhere = certified_defect_bound(network, GROUP, image_shape=(N_PIXELS, N_PIXELS))
    recursion = certified_defect_bound(fused, GROUP, image_shape=(N_PIXELS, N_PIXELS))
    slope, offset = by_recursion_alone(fused, recursion.layers)
    found = largest_found(network, torch.zeros_like(image), norm, n_steps)
    cells = [f"{depth}, normalised" if normalised else str(depth), f"{slope:.3g}, {offset:.3g}"]
    cells += [f"{found / (slope * norm + offset):.2g}", f"{everywhere.slope:.3g}, {everywhere.offset:.3g}"]
    cells.append(f"{found / everywhere.at(norm):.2g}")
    for share in RADII:
        bound = local_defect_bound(network, GROUP, image, share * norm)
        near = largest_found(network, image, share * norm, n_steps)
        cells += [f"{bound.value:.3g}", f"{near / bound.value:.2g}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16], help="layers of the networks")
    parser.add_argument("--steps", type=int, default=100, help="steps of gradient ascent")
    options = parser.parse_args()
    near = [title for share in RADII for title in (f"within {share:.1%}", "found / bound")]
    titles = ["layers", "slope, offset by (7.2)", "found / bound", "slope, offset", "found / bound", *near]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for normalised in (False, True):
        for depth in options.depths:
            print(row(depth, options.steps, normalised=normalised), flush=True)


if __name__ == "__main__":
    main()
