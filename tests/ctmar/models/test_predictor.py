"""What a run predicts with, by the table of methods."""

import pytest
import torch

from ctmar.config.methods import METHODS
from ctmar.models import build_network
from ctmar.models.predictor import IMAGES_AT_ONCE, averaging_of, predictor_of
from equiproj.groups import CyclicGroup


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    built = build_network("dncnn", fields=2, depth=3)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


@pytest.mark.parametrize("method", [name for name, facts in METHODS.items() if not facts.averages_predictions])
def test_most_methods_predict_with_their_network(method):
    built = network()
    assert predictor_of(built, method, CyclicGroup(4)) is built
    assert averaging_of(method, "C4") == ""


@pytest.mark.parametrize("group_order", [1, 2, 4])
@torch.no_grad()
def test_an_average_runs_over_the_turns_of_the_group(averaging, group_order):
    built, images = network(), torch.rand(3, 3, 12, 12)
    turns = range(0, 4, 4 // group_order)
    expected = sum(torch.rot90(built(torch.rot90(images, k, (2, 3))), -k, (2, 3)) for k in turns) / group_order
    torch.testing.assert_close(
        predictor_of(built, averaging, CyclicGroup(group_order))(images), expected, atol=1e-5, rtol=1e-5
    )
    assert averaging_of(averaging, f"C{group_order}") == f" averaged over C{group_order}"


@torch.no_grad()
def test_no_more_images_go_through_at_once_than_memory_is_planned_for(averaging, monkeypatch):
    monkeypatch.setitem(IMAGES_AT_ONCE, "cpu", 8)
    built, sizes = network(), []
    built.register_forward_hook(lambda _, arguments, output: sizes.append(len(arguments[0])))
    for n_images in (1, 3, 9):
        predictor_of(built, averaging, CyclicGroup(4))(torch.rand(n_images, 3, 8, 8))
    assert sizes == [4, 6, 6, 9, 9, 9, 9]  # a batch that is larger by itself is not cut


@torch.no_grad()
def test_on_a_cpu_turned_images_go_through_one_by_one(averaging):
    built, sizes = network(), []
    built.register_forward_hook(lambda _, arguments, output: sizes.append(len(arguments[0])))
    predictor_of(built, averaging, CyclicGroup(4))(torch.rand(1, 3, 8, 8))
    assert sizes == [1] * 4
