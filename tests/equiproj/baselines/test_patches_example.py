"""The example of thick slices: what commutes with the cube, and what with a square prism alone."""

from dataclasses import replace

import domains
import pandas as pd
import patches
import patches_groups
import patches_prism
import patches_steerable
import pytest
import torch

from equiproj import measured_defect
from equiproj.groups import CubeGroup, SquarePrismGroup
from equiproj.regularisers import project_initial_
from equiproj.representations.action import act


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def volumes(n=3):
    return torch.randn(n, 1, 8, 8, 8, generator=seeded(), dtype=torch.float64)


def mismatch(g, thickness):
    """How far looking through slices is from commuting with a turn, relative to what is seen."""
    seen = patches.through_slices(volumes(), thickness)
    difference = patches.through_slices(act(volumes(), g, CubeGroup()), thickness) - act(seen, g, CubeGroup())
    return (difference.norm() / seen.norm()).item()


def test_slices_of_one_voxel_leave_everything_as_it_is():
    assert torch.equal(patches.through_slices(volumes(), 1.0), volumes())


@pytest.mark.parametrize(
    ("thickness", "profile"),
    [(1.5, (1 / 6, 2 / 3, 1 / 6)), (2.0, (1 / 4, 1 / 2, 1 / 4)), (3.0, (1 / 3, 1 / 3, 1 / 3))],
)
def test_a_point_is_smeared_over_the_slices_that_hold_it(thickness, profile):
    point = torch.zeros(1, 1, 8, 8, 8, dtype=torch.float64)
    point[0, 0, 4, 2, 5] = 1.0
    seen = patches.through_slices(point, thickness)
    assert seen[0, 0, 3:6, 2, 5].tolist() == pytest.approx(profile)
    assert seen.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("thickness", [1.0, 1.5, 2.0, 3.0])
def test_theorem_slices_commute_with_the_square_prism(thickness):
    assert max(mismatch(g, thickness) for g in SquarePrismGroup().elements) < 1e-12


@pytest.mark.parametrize("thickness", [1.5, 2.0, 3.0])
def test_thick_slices_commute_with_no_other_turn_of_the_cube(thickness):
    others = set(CubeGroup().elements) - set(SquarePrismGroup().elements)
    assert min(mismatch(g, thickness) for g in others) > 0.2
    assert max(mismatch(g, 1.0) for g in others) == 0.0


def test_theorem_turned_bodies_give_the_turned_patch():
    centres, rotations, half_axes = patches.drawn_bodies(4, seeded())
    expected = patches.rendered(centres, rotations, half_axes)
    for g in CubeGroup().elements:
        turn = torch.tensor(g, dtype=torch.float64)
        found = patches.rendered(centres @ turn.T, turn @ rotations, half_axes)
        torch.testing.assert_close(found, act(expected, g, CubeGroup()), atol=1e-10, rtol=0)


def test_a_rod_along_x_in_closed_form():
    centre, unit = torch.tensor([[[0.5, 0.5, 0.5]]], dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    half_axes = torch.tensor([[[4.0, 1.0, 1.0]]], dtype=torch.float64)
    patch = patches.rendered(centre, unit[None, None], half_axes)[0, 0]
    # axes are (z, y, x), y grows upwards: (0.5, 0.5, 0.5) is voxel (4, 3, 4)
    assert patch[4, 3, 4].item() == pytest.approx(torch.sigmoid(torch.tensor(3.0)).item())
    assert patch[4, 3, 7].item() == pytest.approx(torch.sigmoid(torch.tensor(3 * (1 - 9 / 16))).item())
    assert patch[6, 3, 4].item() == pytest.approx(torch.sigmoid(torch.tensor(3.0 * (1 - 4))).item())


def test_the_same_bodies_are_seen_at_every_thickness():
    thin, thick = patches.data(0.0, 3), patches.data(1.0, 3)
    assert torch.equal(thin.test[1], thick.test[1])
    assert not torch.equal(thin.test[0], thick.test[0])


DOMAINS = [patches.DOMAIN, patches_prism.DOMAIN, patches_steerable.DOMAIN]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_theorem_a_start_is_equivariant(domain):
    group = SquarePrismGroup() if domain is patches_prism.DOMAIN else CubeGroup()
    network, seen = domain.network(), volumes().float()
    assert measured_defect(network, seen, group).maximum > 1e-2
    assert measured_defect(project_initial_(network, **domain.declaration()), seen, group).maximum < 1e-5
    averaged = domain.average(domain.network())
    assert measured_defect(averaged, seen, group).maximum < 1e-5


def test_inputs_and_targets_are_turned_alike():
    clean = patches.rendered(*patches.drawn_bodies(20, seeded()))
    turned, turned_middle = patches.DOMAIN.augment((clean, patches.middle(clean)), seeded())
    assert torch.equal(patches.middle(turned), turned_middle)
    assert not torch.equal(turned, clean)


def test_tiny_study_from_the_command_line(tmp_path, monkeypatch):
    for name in ("N_TRAIN", "N_VALIDATION", "N_TEST"):
        monkeypatch.setattr(patches, name, 20)
    domain = replace(patches_steerable.DOMAIN, weights=(0.1,), proximal_weights=(0.1,))
    monkeypatch.setattr(patches_steerable, "DOMAIN", domain)
    table = tmp_path / "tiny.csv"
    options = ["--seeds", "2", "--steps", "2", "--dials", "2", "--jobs", "1"]
    patches_steerable.main([*options, "--table", str(table), "--figure", str(tmp_path / "tiny.svg")])
    rows = pd.read_csv(table)
    assert set(rows["domain"]) == {"patches_steerable"}
    assert rows.groupby("method")["value"].count().eq(2).all()
    assert rows["value"].between(1, 10_000).all()


def test_the_page_of_cube_against_prism_is_in_step_with_both_tables():
    assert (domains.FOLDER / "patches_groups.md").read_text(encoding="utf-8") == patches_groups.page()


def written(folder, name, **errors):
    """A table of methods at one position of the dial."""
    rows = [
        {"dial": 3.0, "method": method, "seed": seed, "value": value}
        for method, values in errors.items()
        for seed, value in enumerate(values)
    ]
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


def test_a_gain_of_the_prism_is_paired_by_seed_and_less_what_plain_gains(tmp_path):
    written(tmp_path, "patches", plain=[5.0, 6.0, 7.0], strict=[11.0, 22.0, 33.0])
    written(tmp_path, "patches_prism", plain=[4.0, 5.0, 6.0], strict=[10.0, 20.0, 30.0])
    # differences 1, 2, 3: a mean of 2, and limits of 2 ∓ 4.303 / √3; plain gains 1 with every seed
    (row,) = patches_groups.rows_of(patches_groups.errors(tmp_path), "strict", "strict", "strict")
    assert row == "| 3 | strict | 22.00 | 20.00 | +2.00 [−0.48, +4.48] | +1.00 [−1.48, +3.48] |"


def test_tables_of_other_seeds_are_refused(tmp_path):
    written(tmp_path, "patches", strict=[11.0, 22.0])
    written(tmp_path, "patches_prism", strict=[10.0, 20.0, 30.0])
    with pytest.raises(ValueError, match="the same positions and seeds"):
        patches_groups.errors(tmp_path)
