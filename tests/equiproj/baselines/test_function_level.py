import pytest
import torch
from torch import nn

from equiproj.baselines import function_mismatch
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_linear
from equiproj.representations import regular, trivial
from equiproj.representations.action import act

C4 = CyclicGroup(4)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_against_the_formula_for_the_element_that_was_drawn():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1)).double()
    images = torch.randn(5, 1, 6, 6, dtype=torch.float64)
    for seed in range(6):
        (n_turns,) = C4.sample(1, seeded(seed))
        difference = network(torch.rot90(images, n_turns, (2, 3))) - torch.rot90(network(images), n_turns, (2, 3))
        expected = sum(sample.norm() for sample in difference) / 5
        found = function_mismatch(network, [images], C4, seeded(seed))
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
        known = function_mismatch(network, [images], C4, seeded(seed), outputs=network(images))
        torch.testing.assert_close(found, known)


def test_theorem_vanishes_for_an_equivariant_map():
    group = DihedralGroup(3)
    rho = regular(group)
    weight = project_linear(torch.randn(6, 6, dtype=torch.float64), rho, rho)
    for seed in range(8):
        inputs = [torch.randn(4, 6, dtype=torch.float64)]
        value = function_mismatch(
            lambda x: torch.tanh(x @ weight.T), inputs, group, seeded(seed), rho_in=rho, rho_out=rho
        )
        assert value < 1e-14


def test_closed_form_for_one_pixel():
    # f picks the top left pixel and keeps it as an invariant: g moves another corner there.
    image = torch.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]])
    corners = {0: 1.0, 1: 10.0, 2: 1000.0, 3: 100.0}
    for seed in range(12):
        (n_turns,) = C4.sample(1, seeded(seed))
        value = function_mismatch(lambda x: x[:, :, 0, 0], [image], C4, seeded(seed))
        assert value.item() == abs(corners[n_turns] - 1.0)


def test_frozen_value():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    value = function_mismatch(lambda x: x.cumsum(-1), [image], C4, seeded(1))
    assert C4.sample(1, seeded(1)) == [1]
    assert value.item() == pytest.approx(76**0.5, rel=1e-6)  # numpy.rot90 and numpy.cumsum give the same


def test_gradients_are_finite_at_exact_equivariance():
    scale = torch.tensor(2.0, requires_grad=True)
    value = function_mismatch(lambda x: scale * x, [torch.randn(2, 1, 4, 4)], C4, seeded(1))
    value.backward()
    assert (value.item(), scale.grad.item()) == (0.0, 0.0)


def test_several_inputs_turn_together():
    a, b = torch.randn(2, 3, 1, 4, 4).unbind()
    assert function_mismatch(torch.mul, [a, b], C4, seeded(1)) == 0


def test_invariant_outputs_of_a_classifier():
    images = torch.randn(3, 1, 4, 4)
    assert function_mismatch(lambda x: x.sum((2, 3)), [images], C4, seeded(1)) < 1e-5
    value = function_mismatch(lambda x: x.sum((2, 3)), [images], C4, seeded(1), rho_out=trivial(C4))
    assert value < 1e-5


def test_oblong_images_turn_with_a_convolution_and_not_with_a_fixed_shape():
    images = torch.randn(1, 1, 3, 5)
    assert function_mismatch(torch.sin, [images], C4, seeded(1)) == 0
    (element,) = C4.sample(1, seeded(1))
    assert act(images, element, C4).shape != images.shape
    with pytest.raises(ValueError, match=r"expected outputs of shape \(1, 1, 1, 3\) for inputs moved by 1"):
        function_mismatch(lambda x: x.sum(-1, keepdim=True), [images], C4, seeded(1))
