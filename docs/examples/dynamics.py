"""Advection and diffusion of a warm fluid in two dimensions: buoyancy breaks all turns and flips but one flip.

Temperature θ and velocity u on a periodic square follow the Boussinesq equations, ∂θ/∂t + u·∇θ = κ∇²θ and
∂u/∂t + u·∇u = −∇p + ν∇²u + β θ e_y, ∇·u = 0. Without buoyancy (β = 0) the flow is symmetric under D_4; with it, under
left-right flips alone. A network learns the map from one state to the next (the dynamics of the paper, section 4.2).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import harness
import torch
from methods import Batch, Data, Domain, Predict
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from equiproj.baselines import GroupAveraged
from equiproj.groups import DihedralGroup
from equiproj.representations import regular, standard, trivial
from equiproj.representations.action import act

GROUP = DihedralGroup(4)
STATE = trivial(GROUP) + standard(GROUP)  # a temperature stays as it is, a velocity turns with the plane
N_PIXELS = 16
VISCOSITY = DIFFUSIVITY = 0.02
STEP, SUBSTEPS = 0.2, 10  # time between two states, and steps of the solver in it
LARGEST_WAVE = 3  # of the first states
N_STATES = 11  # of a trajectory: ten steps
N_TRAIN, N_VALIDATION, N_TEST = 4, 4, 16  # trajectories
FIELDS = 2  # regular fields of a hidden layer


def waves() -> tuple[Tensor, Tensor]:
    """Wave numbers along rows (upwards) and columns (to the right) of a Fourier transform."""
    numbers = torch.fft.fftfreq(N_PIXELS, 1 / N_PIXELS)
    return -numbers.unsqueeze(1), numbers.unsqueeze(0)  # rows are counted downwards


def velocity(vorticity: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity to the right and upwards (transforms) of a vorticity (transform)."""
    upward, right = waves()
    stream = vorticity / (upward**2 + right**2).clamp(min=1)
    return 1j * upward * stream, -1j * right * stream


def change(vorticity: Tensor, temperature: Tensor, buoyancy: float) -> tuple[Tensor, Tensor]:
    """Time derivatives of the transforms, products taken on pixels and freed of aliases by the rule of two thirds."""
    upward, right = waves()
    kept = (upward.abs() < N_PIXELS / 3) & (right.abs() < N_PIXELS / 3)
    square, (u, v) = upward**2 + right**2, (torch.fft.ifft2(part).real for part in velocity(vorticity))

    def advected(field: Tensor) -> Tensor:
        along, across = (torch.fft.ifft2(1j * wave * field).real for wave in (right, upward))
        return kept * torch.fft.fft2(u * along + v * across)

    vortices = -advected(vorticity) - VISCOSITY * square * vorticity + buoyancy * 1j * right * temperature
    return vortices, -advected(temperature) - DIFFUSIVITY * square * temperature


def next_state(vorticity: Tensor, temperature: Tensor, buoyancy: float) -> tuple[Tensor, Tensor]:
    """One time step `STEP` later, by Heun's method."""
    time = STEP / SUBSTEPS
    for _ in range(SUBSTEPS):
        first = change(vorticity, temperature, buoyancy)
        second = change(vorticity + time * first[0], temperature + time * first[1], buoyancy)
        vorticity = vorticity + time / 2 * (first[0] + second[0])
        temperature = temperature + time / 2 * (first[1] + second[1])
    return vorticity, temperature


def first_states(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Transforms of random smooth vorticity and temperature, alike in all directions, of mean 0 and unit variance."""
    upward, right = waves()
    low = (upward**2 + right**2 <= LARGEST_WAVE**2) & (upward**2 + right**2 > 0)
    noise = torch.fft.fft2(torch.randn(2, n, N_PIXELS, N_PIXELS, generator=generator)) * low
    scale = torch.fft.ifft2(noise).real.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    vorticity, temperature = noise / scale
    return 2 * vorticity, temperature


def trajectories(n: int, buoyancy: float, generator: torch.Generator) -> Tensor:
    """States (n, N_STATES, 3, N_PIXELS, N_PIXELS): temperature, velocity to the right and velocity upwards."""
    vorticity, temperature = first_states(n, generator)
    states = []
    for _ in range(N_STATES):
        states.append(torch.stack([torch.fft.ifft2(f).real for f in (temperature, *velocity(vorticity))], dim=1))
        vorticity, temperature = next_state(vorticity, temperature, buoyancy)
    return torch.stack(states, dim=1)


def pairs(states: Tensor) -> Batch:
    """Every state, and all that follow it up to ten: (samples, 3, …) and (samples, 3, …) one step later."""
    return states[:, :-1].flatten(0, 1), states[:, 1:].flatten(0, 1)


def data(dial: float, seed: int) -> Data:
    """Trajectories from random first states; pairs of neighbouring states, in order of their trajectories."""
    generator = torch.Generator().manual_seed(seed)
    return Data(*(pairs(trajectories(n, dial, generator)) for n in (N_TRAIN, N_VALIDATION, N_TEST)))


class Residual(nn.Module):
    """x + f(x), f three circular convolutions."""

    def __init__(self) -> None:
        super().__init__()
        width = GROUP.order * FIELDS
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, width, 3, padding=1, padding_mode="circular"), nn.SiLU()),
            *(nn.Conv2d(width, width, 3, padding=1, padding_mode="circular"), nn.SiLU()),
            nn.Conv2d(width, 3, 3, padding=1, padding_mode="circular"),
        )

    def forward(self, states: Tensor) -> Tensor:
        """The next states."""
        return states + self.layers(states)


def declaration() -> dict[str, Any]:
    """Types of the layers: states, regular fields, regular fields, states."""
    hidden = FIELDS * regular(GROUP)
    types = ((STATE, hidden), (hidden, hidden), (hidden, STATE))
    return {"layers": {f"layers.{2 * i}": pair for i, pair in enumerate(types)}}


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Root mean square errors of one step and of ten, the latter from the first states of the trajectories."""
    n_steps = N_STATES - 1
    state, after = batch[0][::n_steps], batch[1][n_steps - 1 :: n_steps]
    for _ in range(n_steps):
        state = predict(state)
    return tuple(math.sqrt(mse_loss(*both).item()) for both in ((predict(batch[0]), batch[1]), (state, after)))


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """States and those that follow moved by the same random element."""
    drawn = torch.randint(GROUP.order, (len(batch[0]),), generator=generator)
    moved = torch.empty_like(batch[0]), torch.empty_like(batch[1])
    for index, element in enumerate(GROUP.elements):
        chosen = drawn == index
        for states, those in zip(batch, moved, strict=True):
            those[chosen] = act(states[chosen], element, GROUP, STATE)
    return moved


def average(module: nn.Module) -> Predict:
    """Mean over the eight elements, turned back."""
    return GroupAveraged(module, GROUP, STATE, STATE)


DOMAIN = Domain(
    name="dynamics",
    title="dynamics, D_4",
    dial="buoyancy β",
    dials=(0.0, 0.3, 1.0),
    metrics={"RMSE after 1 step": -1, "RMSE after 10 steps": -1},
    data=data,
    network=Residual,
    loss=mse_loss,
    scores=scores,
    augment=augment,
    average=average,
    declaration=declaration,
    n_steps=80,
    batch_size=8,
    learning_rate=1e-2,
    weights=(1e-3, 1e-2, 1e-1),
    proximal_weights=(0.1, 1.0),
    first_seed=10,
)

main = partial(harness.main, DOMAIN, __doc__)

if __name__ == "__main__":
    main()
