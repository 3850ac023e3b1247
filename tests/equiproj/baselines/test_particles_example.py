"""The example of charged particles: laws of mechanics, and what commutes with rotations."""

import math
from dataclasses import replace

import pandas as pd
import particles
import particles_about_axis
import pytest
import torch

from equiproj import measured_defect
from equiproj.groups import SO2, SO3
from equiproj.regularisers import project_initial_


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def systems(n=20):
    return particles.initial(n, seeded())


def mismatch(rotation, field):
    """How far the simulator is from commuting with a rotation: the largest difference of a coordinate."""
    turn = torch.as_tensor(rotation)
    positions, velocities, charges = systems()
    expected = particles.moved(positions, velocities, charges, field)
    found = particles.moved(positions @ turn.T, velocities @ turn.T, charges, field)
    return max((a - b @ turn.T).abs().max().item() for a, b in zip(found, expected, strict=True))


def test_theorem_the_simulator_commutes_with_rotations_where_there_is_no_field():
    assert max(mismatch(g, 0.0) for g in SO3().sample(5, seeded())) < 1e-10


def test_theorem_a_field_leaves_the_turns_about_it():
    assert max(mismatch(SO2().spatial_matrix(angle, 3), 1.0) for angle in SO2().sample(5, seeded())) < 1e-10
    assert min(mismatch(g, 1.0) for g in SO3().sample(5, seeded())) > 0.1


def test_two_opposite_charges_on_a_circle():
    # each of mass 1 at radius 1/2 from their centre: v² / (1/2) is the force at distance 1
    speed = math.sqrt(0.5 * (1 + particles.SOFTENING**2) ** -1.5)
    positions = torch.tensor([[[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]]], dtype=torch.float64)
    velocities = torch.tensor([[[0.0, speed, 0.0], [0.0, -speed, 0.0]]], dtype=torch.float64)
    charges = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    later, _ = particles.moved(positions, velocities, charges, 0.0)
    angle = 2 * speed * particles.DURATION
    expected = 0.5 * torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
    torch.testing.assert_close(later[0], torch.stack((expected, -expected)), atol=1e-4, rtol=0)


def test_one_charge_falls_along_a_parabola():
    positions, velocities, charges = (each[:, :1] for each in systems())
    later, faster = particles.moved(positions, velocities, charges, 0.7)
    upwards = charges.unsqueeze(-1) * torch.tensor([0.0, 0.0, 0.7], dtype=torch.float64)
    time = particles.DURATION
    torch.testing.assert_close(later, positions + time * velocities + time**2 / 2 * upwards, atol=1e-12, rtol=0)
    torch.testing.assert_close(faster, velocities + time * upwards, atol=1e-12, rtol=0)


@pytest.mark.parametrize("field", [0.0, 1.0])
def test_energy_is_conserved_to_second_order_in_the_step(field, monkeypatch):
    start = systems()
    drifts = []
    for step in (0.01, 0.005):
        monkeypatch.setattr(particles, "TIME_STEP", step)
        end = (*particles.moved(*start, field), start[2])
        drifts.append((particles.energy(*end, field) - particles.energy(*start, field)).abs().max().item())
    assert drifts[0] < 1e-2
    assert drifts[0] / drifts[1] == pytest.approx(4, rel=0.2)


def test_the_force_is_minus_the_slope_of_the_energy():
    positions, velocities, charges = systems()
    positions.requires_grad_()
    (slope,) = torch.autograd.grad(particles.energy(positions, velocities, charges, 0.5).sum(), positions)
    torch.testing.assert_close(particles.accelerations(positions, charges, 0.5), -slope, atol=1e-10, rtol=0)


def test_momentum_and_angular_momentum():
    positions, velocities, charges = systems()
    later, faster = particles.moved(positions, velocities, charges, 0.5)
    gained = particles.DURATION * 0.5 * charges.sum(dim=1)
    momentum = (faster - velocities).sum(dim=1)
    torch.testing.assert_close(momentum[:, 2], gained, atol=1e-10, rtol=0)
    assert momentum[:, :2].abs().max() < 1e-10
    about_z = torch.linalg.cross(later, faster).sum(dim=1) - torch.linalg.cross(positions, velocities).sum(dim=1)
    assert about_z[:, 2].abs().max() < 1e-10


def test_time_runs_back():
    positions, velocities, charges = systems()
    later, faster = particles.moved(positions, velocities, charges, 0.5)
    back, reversed_velocities = particles.moved(later, -faster, charges, 0.5)
    torch.testing.assert_close(back, positions, atol=1e-9, rtol=0)
    torch.testing.assert_close(-reversed_velocities, velocities, atol=1e-9, rtol=0)


def test_targets_are_what_the_forces_did():
    inputs, targets = particles.drawn(10, 0.3, seeded())
    start = particles.initial(10, seeded())
    later, faster = particles.moved(*start, 0.3)
    size = 3 * particles.N_PARTICLES
    positions, velocities = inputs[:, particles.N_PARTICLES :].split(size, dim=1)
    torch.testing.assert_close(positions + velocities + targets[:, :size], later.flatten(1).float())
    torch.testing.assert_close(velocities + targets[:, size:], faster.flatten(1).float())


def test_augmentation_moves_as_the_types_say():
    batch = particles.drawn(1, 0.0, seeded())
    (rotation,) = SO3().sample(1, seeded(5))
    inputs, targets = particles.rotated(batch, torch.from_numpy(rotation).float()[None])
    for found, before, type_of in (
        (inputs, batch[0], particles.input_type),
        (targets, batch[1], particles.output_type),
    ):
        torch.testing.assert_close(found, before @ type_of(SO3())(rotation).float().T, atol=1e-5, rtol=0)
    about_axis, _ = particles_about_axis.augment(batch, seeded())
    assert torch.equal(about_axis[:, [6, 9, 12, 15]], batch[0][:, [6, 9, 12, 15]])  # heights of the four


@pytest.mark.parametrize(
    ("domain", "group"),
    [(particles.DOMAIN, SO3()), (particles_about_axis.DOMAIN, SO2())],
    ids=["rotations", "about the axis"],
)
def test_theorem_a_start_is_equivariant(domain, group):
    network, (inputs, _) = particles.Dynamics(), particles.drawn(50, 0.0, seeded())
    sides = particles.input_type(group), particles.output_type(group)
    assert measured_defect(network, inputs, group, *sides).maximum > 0.1
    assert measured_defect(project_initial_(network, **domain.declaration()), inputs, group, *sides).maximum < 1e-5


def test_tiny_study_from_the_command_line(tmp_path, monkeypatch):
    for name in ("N_TRAIN", "N_VALIDATION", "N_TEST"):
        monkeypatch.setattr(particles, name, 20)
    domain = replace(particles_about_axis.DOMAIN, weights=(0.1,), proximal_weights=(0.1,))
    monkeypatch.setattr(particles_about_axis, "DOMAIN", domain)
    table = tmp_path / "tiny.csv"
    options = ["--seeds", "2", "--steps", "2", "--dials", "1", "--jobs", "1"]
    particles_about_axis.main([*options, "--table", str(table), "--figure", str(tmp_path / "tiny.svg")])
    rows = pd.read_csv(table)
    assert set(rows["metric"]) == set(particles.DOMAIN.metrics)
    assert rows.groupby(["method", "metric"])["value"].count().eq(2).all()
