"""Charged particles in a uniform field: SO(3) is broken to the turns about the field, SO(2).

Four particles of charge ±1 repel and attract each other (Coulomb's law, softened) and feel a field of strength g along
z. A network of linear layers between scalars and vectors, with a nonlinearity that is exactly equivariant, predicts
what the forces have done to positions and velocities after a time T. At g = 0 that commutes with every rotation; with
a field it commutes with the turns about z.
"""

from __future__ import annotations

from typing import Any

import harness
import numpy as np
import torch
from methods import Batch, Data, Domain, Predict
from torch import Tensor, nn

from equiproj.baselines import GroupAveraged
from equiproj.groups import SO2, SO3, CubeGroup, CyclicGroup, FiniteGroup, Group
from equiproj.layers import LayerTypes
from equiproj.representations import Representation, irrep, standard, trivial

N_PARTICLES = 4
DURATION = 1.0
TIME_STEP = 0.01
SOFTENING = 1.0  # length ε in q_i q_j / sqrt(r² + ε²): at 0.3 close encounters are not learnt from so few
SPREAD, SPEED = 1.0, 0.5  # standard deviations of positions and velocities, per axis
N_COPIES = 24  # scalars, and as many vectors, of a hidden layer
N_TRAIN, N_VALIDATION, N_TEST = 1536, 512, 2048


def accelerations(positions: Tensor, charges: Tensor, field: float) -> Tensor:
    """Of particles of mass 1: q_i Σ_j q_j (x_i − x_j) / (r² + ε²)^(3/2) + q_i g ẑ.

    Args:
        positions: (n, particles, 3).
        charges: (n, particles).
        field: g.
    """
    between = positions.unsqueeze(2) - positions.unsqueeze(1)
    inverse_cube = (between.square().sum(dim=-1) + SOFTENING**2) ** -1.5
    pushed = torch.einsum("nj,nij,nijk->nik", charges, inverse_cube, between)
    upwards = torch.tensor([0.0, 0.0, field], dtype=positions.dtype)
    return charges.unsqueeze(-1) * (pushed + upwards)


def moved(
    positions: Tensor, velocities: Tensor, charges: Tensor, field: float, duration: float = DURATION
) -> tuple[Tensor, Tensor]:
    """Positions and velocities after a time, by the leapfrog scheme (kick, drift, kick) of step TIME_STEP.

    Symplectic, of second order, reversible; it conserves momentum and angular momentum to rounding where the forces do.
    """
    n_steps = round(duration / TIME_STEP)
    pull = accelerations(positions, charges, field)
    for _ in range(n_steps):
        velocities = velocities + TIME_STEP / 2 * pull
        positions = positions + TIME_STEP * velocities
        pull = accelerations(positions, charges, field)
        velocities = velocities + TIME_STEP / 2 * pull
    return positions, velocities


def energy(positions: Tensor, velocities: Tensor, charges: Tensor, field: float) -> Tensor:
    """½ Σ v² + Σ_{i<j} q_i q_j / sqrt(r² + ε²) − g Σ q_i z_i, (n,)."""
    between = positions.unsqueeze(2) - positions.unsqueeze(1)
    inverse = (between.square().sum(dim=-1) + SOFTENING**2) ** -0.5
    pairs = torch.einsum("ni,nj,nij->n", charges, charges, inverse) - (charges.square() / SOFTENING).sum(dim=1)
    return 0.5 * velocities.square().sum(dim=(1, 2)) + pairs / 2 - field * (charges * positions[..., 2]).sum(dim=1)


def initial(n_systems: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Positions and velocities (n, particles, 3), normal, and charges ±1 (n, particles), in float64."""
    shape = (n_systems, N_PARTICLES, 3)
    positions = SPREAD * torch.randn(shape, generator=generator, dtype=torch.float64)
    velocities = SPEED * torch.randn(shape, generator=generator, dtype=torch.float64)
    charges = 2.0 * torch.randint(2, shape[:2], generator=generator).double() - 1
    return positions, velocities, charges


def features(positions: Tensor, velocities: Tensor, charges: Tensor) -> Tensor:
    """Charges, positions and velocities side by side, (n, 7 particles): the input of the network."""
    return torch.cat((charges, positions.flatten(1), velocities.flatten(1)), dim=1)


def drawn(n_systems: int, field: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs, and what the forces did in the time T: changes of position beyond free flight, and of velocity."""
    positions, velocities, charges = initial(n_systems, generator)
    later, faster = moved(positions, velocities, charges, field)
    by_forces = torch.cat(((later - positions - DURATION * velocities).flatten(1), (faster - velocities).flatten(1)), 1)
    return features(positions, velocities, charges).float(), by_forces.float()


class Dynamics(nn.Module):
    """Linear layers between scalars and vectors; scalars see the lengths of vectors, and gate them.

    As in the example of the rings, the nonlinearity is exactly equivariant, so that the weights and biases alone break
    a symmetry: s' = silu(s + |v|) and v' = sigmoid(s') v, channel by channel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(7 * N_PARTICLES, 4 * N_COPIES)
        self.second = nn.Linear(4 * N_COPIES, 4 * N_COPIES)
        self.last = nn.Linear(4 * N_COPIES, 6 * N_PARTICLES)

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, 7 particles) to (n, 6 particles)."""
        return self.last(gated(self.second(gated(self.first(inputs)))))


def gated(hidden: Tensor) -> Tensor:
    """The nonlinearity of `Dynamics`, on (..., copies + 3 copies)."""
    scalars, vectors = hidden[..., :N_COPIES], hidden[..., N_COPIES:].unflatten(-1, (N_COPIES, 3))
    # The offset keeps the derivative of the square root finite at zero.
    scalars = nn.functional.silu(scalars + (vectors.square().sum(dim=-1) + 1e-12).sqrt())
    return torch.cat((scalars, (torch.sigmoid(scalars).unsqueeze(-1) * vectors).flatten(-2)), dim=-1)


def vector(group: Group) -> Representation:
    """How (x, y, z) turns: in space, or about z, where z is a scalar."""
    return irrep(group, 1) + trivial(group) if isinstance(group, SO2 | CyclicGroup) else standard(group)


def input_type(group: Group) -> Representation:
    """Charges are scalars, positions and velocities vectors."""
    return N_PARTICLES * trivial(group) + 2 * N_PARTICLES * vector(group)


def output_type(group: Group) -> Representation:
    """Changes of position and of velocity are vectors."""
    return 2 * N_PARTICLES * vector(group)


def types(group: Group) -> LayerTypes:
    """Hidden layers have as many scalars as vectors."""
    hidden = N_COPIES * trivial(group) + N_COPIES * vector(group)
    first, last = (input_type(group), hidden), (hidden, output_type(group))
    return {"first": first, "second": (hidden, hidden), "last": last}


def data(field: float, seed: int) -> Data:
    """Systems in a field; the same initial ones at every strength."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return Data(*(drawn(n, field, generator) for n in (N_TRAIN, N_VALIDATION, N_TEST)))


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean square error."""
    return nn.functional.mse_loss(output, target)


def scores(predict: Predict, batch: Batch) -> tuple[float, ...]:
    """Root mean square errors of positions and of velocities, per coordinate."""
    square = (predict(batch[0]) - batch[1]).square().unflatten(1, (2, -1)).mean(dim=(0, 2))
    return tuple(square.sqrt().tolist())


def rotated(batch: Batch, rotations: Tensor) -> Batch:
    """Inputs and targets of every system under a rotation of its own, (n, 3, 3)."""

    def turn(flat: Tensor) -> Tensor:
        return torch.einsum("nij,npj->npi", rotations, flat.unflatten(1, (-1, 3))).flatten(1)

    inputs, targets = batch
    return torch.cat((inputs[:, :N_PARTICLES], turn(inputs[:, N_PARTICLES:])), dim=1), turn(targets)


def augment(batch: Batch, generator: torch.Generator) -> Batch:
    """Every system is rotated."""
    return rotated(batch, torch.from_numpy(np.stack(SO3().sample(len(batch[0]), generator))).float())


def averaged(network: nn.Module, group: FiniteGroup) -> Predict:
    """The mean over a finite group of turns."""
    return GroupAveraged(network, group, input_type(group), output_type(group))


def average(network: nn.Module) -> Predict:
    """Over the 24 turns of the cube, which stand for all rotations."""
    return averaged(network, CubeGroup())


def declaration() -> dict[str, Any]:
    """Under all rotations."""
    return {"layers": types(SO3())}


DOMAIN = Domain(
    name="particles",
    title="N-body, SO(3)",
    dial="strength of the field g",
    dials=(0.0, 0.1),
    metrics={"RMSE of positions": -1, "RMSE of velocities": -1},
    data=data,
    network=Dynamics,
    loss=loss,
    scores=scores,
    augment=augment,
    average=average,
    declaration=declaration,
    n_steps=200,
    batch_size=128,
    learning_rate=1e-2,
    weights=(0.01, 0.1, 1.0),
    proximal_weights=(0.1, 0.3, 1.0),
)


def main(argv: list[str] | None = None) -> None:
    """Compare the methods."""
    harness.main(DOMAIN, __doc__, argv)


if __name__ == "__main__":
    main()
