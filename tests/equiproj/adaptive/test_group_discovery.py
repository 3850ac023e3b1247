"""Candidates are ranked as their symmetry is known to be. How often: ``python -m benchmarks.group_discovery``."""

import numpy as np
import pytest
import torch
from torch import nn

from equiproj import project_
from equiproj.adaptive import GroupRanking, GroupRow, rank_groups_by_distance, rank_groups_by_score
from equiproj.groups import CyclicGroup, DihedralGroup, parse_group
from equiproj.representations import standard

CANDIDATES = ("C2", "D1", "D2", "C4", "D4")
TRUTHS = ("none", *CANDIDATES)
every_truth = pytest.mark.parametrize("truth", TRUTHS)


def names(groups):
    return {parse_group(name) for name in groups} if groups != "none" else set()


def symmetric(layer, truth):
    return layer if truth == "none" else project_(layer, truth)


@every_truth
def test_the_distance_of_weights_that_are_nearly_symmetric(truth):
    # one of 8 weights' length is noise; 12 draws, and every one is right
    for _ in range(12):
        layer = symmetric(nn.Conv2d(1, 1, 7, bias=False), truth)
        with torch.no_grad():
            layer.weight += torch.randn_like(layer.weight) * layer.weight.norm() / 8 / layer.weight.numel() ** 0.5
        ranking = rank_groups_by_distance(layer, CANDIDATES)
        assert set(ranking.largest) == names([truth] if truth != "none" else "none")


def test_random_weights_follow_the_null_law():
    ranking = [rank_groups_by_distance(nn.Conv2d(1, 1, 3, bias=False), ["C4"]) for _ in range(60)]
    squares = np.array([each.rows[0].measure ** 2 for each in ranking])
    # beta(d_⊥/2, d_G/2) with 6 and 3 dimensions, if the entries are Gaussian; torch draws them uniformly
    assert abs(squares.mean() - 6 / 9) < 0.1
    assert ranking[0].rows[0].null == pytest.approx((6 / 9) ** 0.5, abs=5e-3)
    p_values = [each.rows[0].p_value for each in ranking]
    assert 0.35 < np.mean(p_values) < 0.65
    assert not any(each.largest for each in ranking)


def test_a_group_is_judged_by_what_it_has_beyond_those_inside_it():
    # of kernels that C_4 fixes, 10 of 13 dimensions are fixed by D_4 too: the distance to all weights says little
    ranking = rank_groups_by_distance(symmetric(nn.Conv2d(1, 1, 7, bias=False), "C4"), ["C4", "D4"])
    rows = {row.group: row for row in ranking.rows}
    assert rows[DihedralGroup(4)].null == pytest.approx((3 / 13) ** 0.5, abs=5e-3)
    assert rows[CyclicGroup(4)].measure < 1e-6
    # between regular fields of both there is no such order, and all weights are what random ones are compared with
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 1))
    ranking = rank_groups_by_distance(symmetric(network, "C2"), ["C2", "C4"])
    assert {row.group: row.is_kept for row in ranking.rows} == {CyclicGroup(2): True, CyclicGroup(4): False}


def test_types_may_be_functions_of_the_group():
    # a turn of the plane commutes with turns and with no mirror image
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    several = nn.Sequential(*(layer for _ in range(1)))
    ranking = rank_groups_by_distance(several, ["C4", "D4"], level=0.5, input_type=standard, output_type=standard)
    assert ranking.rows[0].group == CyclicGroup(4)
    assert ranking.rows[0].measure < 1e-6 < ranking.rows[1].measure


def made_data(truth, n_images, seed):
    generator = torch.Generator().manual_seed(1000 + seed)  # weights of the same stream would be in the images
    torch.manual_seed(seed)
    teacher = symmetric(nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1)), truth)
    images = torch.randn(n_images, 1, 5, 5, generator=generator)
    with torch.no_grad():
        labels = teacher(images)
    labels = (labels - labels.mean()) / labels.std()
    return images, labels + 0.3 * torch.randn(labels.shape, generator=generator)


def by_score(truth, seed, **options):
    student = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1))
    batches = [made_data(truth, 800, seed)]
    return rank_groups_by_score(student, CANDIDATES, loss=nn.functional.mse_loss, batches=batches, **options)


@pytest.mark.parametrize("truth", ["none", "D1", "C4"])
def test_the_score_of_data_of_a_known_symmetry(truth):
    ranking = by_score(truth, seed=1)
    assert set(ranking.largest) == names([truth] if truth != "none" else "none")
    assert [row.ratio for row in ranking.rows] == sorted(row.ratio for row in ranking.rows)


def test_a_group_is_rejected_with_one_inside_it_and_the_table_says_so():
    text = str(by_score("D1", seed=1))
    assert "largest: DihedralGroup(1)" in text.splitlines()[-1]
    ranking = GroupRanking(
        "score",
        tuple(
            GroupRow(group, 1.0, 1.0, 0.5, kept, "")
            for group, kept in [(CyclicGroup(4), True), (DihedralGroup(2), True), (DihedralGroup(4), False)]
        ),
    )
    assert ranking.largest == (CyclicGroup(4), DihedralGroup(2))  # neither is inside the other


def test_fitting_gets_a_strict_copy_and_the_network_stays():
    seen = []
    student = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1))
    before = {name: value.clone() for name, value in student.state_dict().items()}

    def fit(network, group):
        seen.append((group, network))
        with torch.no_grad():
            network[0].weight.add_(1.0 + torch.randn_like(network[0].weight))

    rank_groups_by_score(student, ["C2", "C4"], loss=nn.functional.mse_loss, batches=[made_data("C4", 100, 0)], fit=fit)
    assert [group for group, _ in seen] == [CyclicGroup(2), CyclicGroup(4)]
    for group, network in seen:
        assert rank_groups_by_distance(network, [group]).rows[0].measure < 1e-6
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_no_candidates_are_refused():
    for rank in (rank_groups_by_distance, rank_groups_by_score):
        options = {} if rank is rank_groups_by_distance else {"loss": nn.functional.mse_loss, "batches": []}
        with pytest.raises(ValueError, match="expected at least one candidate group, found none"):
            rank(nn.Linear(2, 2), [], **options)


def test_weights_that_are_no_numbers_are_refused():
    layer = nn.Linear(4, 1, bias=False)
    nn.init.constant_(layer.weight, torch.nan)
    with pytest.raises(ValueError, match="weight: expected finite weights, found NaN or infinity"):
        rank_groups_by_distance(layer, ["C4"], input_type="regular")
