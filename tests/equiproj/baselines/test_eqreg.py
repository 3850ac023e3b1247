import pytest
import torch
from torch import nn

from equiproj.baselines import EQReg, feature_mismatch
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import project_bias, project_conv
from equiproj.representations import regular, trivial
from equiproj.representations.action import act

C4 = CyclicGroup(4)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def generator_that_draws(element, group=C4):
    """A generator whose first draw is the wanted element."""
    for seed in range(1000):
        if group.sample(1, seeded(seed)) == [element]:
            return seeded(seed)
    raise AssertionError(f"no seed below 1000 draws {element}")


def published_formula(weight, bias, images, n_turns, n_fields):
    """‖rot(conv(x)) − shift(conv(rot x))‖₂ for quarter turns, with loops instead of permutations."""
    features = torch.conv2d(images, weight, bias, padding=weight.shape[-1] // 2)
    turned_features = torch.conv2d(torch.rot90(images, n_turns, (2, 3)), weight, bias, padding=weight.shape[-1] // 2)
    total = 0.0
    for field in range(n_fields):
        for element in range(4):
            rotated = torch.rot90(features[:, 4 * field + element], n_turns, (1, 2))
            shifted = turned_features[:, 4 * field + (element + n_turns) % 4]
            total = total + ((rotated - shifted) ** 2).sum()
    return total.sqrt()


@pytest.mark.parametrize("n_turns", [0, 1, 2, 3])
def test_one_layer_against_the_plainly_written_formula(n_turns):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 5, padding=2).double()
    eqreg = EQReg(layer, C4, {"": (3 * trivial(C4), 2 * regular(C4))})
    images = torch.randn(4, 3, 7, 7, dtype=torch.float64)
    (doubled,) = eqreg.double(images, generator=generator_that_draws(n_turns))
    layer(doubled)
    penalty = eqreg.penalty()
    expected = published_formula(layer.weight, layer.bias, images, n_turns, n_fields=2)
    torch.testing.assert_close(penalty, expected, atol=1e-12, rtol=1e-12)
    if n_turns:
        gradients = torch.autograd.grad(penalty, layer.weight)[0], torch.autograd.grad(expected, layer.weight)[0]
        torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("group", [CyclicGroup(2), C4, DihedralGroup(4)], ids=repr)
@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 6), (3, 2, 7), (2, 1, 5), (1, 1, 4)])
def test_theorem_vanishes_for_projected_weights(group, kernel, stride, size):
    torch.manual_seed(1)
    rho_hidden = 2 * regular(group)
    network = nn.Sequential(
        nn.Conv2d(2, rho_hidden.dim, kernel, stride, padding=kernel // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(rho_hidden.dim, 1, 3, padding=1),
    ).double()
    layers = {"0": (2 * trivial(group), rho_hidden), "2": (rho_hidden, trivial(group))}
    with torch.no_grad():
        for name, (rho_in, rho_out) in layers.items():
            layer = network.get_submodule(name)
            layer.weight.copy_(project_conv(layer.weight, rho_in, rho_out))
            layer.bias.copy_(project_bias(layer.bias, rho_out))
    eqreg = EQReg(network, group, layers)
    images = torch.randn(2, 2, size, size, dtype=torch.float64)
    for g in group.elements:
        (doubled,) = eqreg.double(images, generator=generator_that_draws(g, group))
        network(doubled)
        assert eqreg.penalty() < 1e-12


def test_closed_form_of_a_pointwise_layer():
    # A 1×1 convolution 1→4 with weights w has g·z₀ = w x', ρ⁻¹ z₁ = shift(w) x', so ‖w − shift(w)‖ ‖x‖.
    layer = nn.Conv2d(1, 4, 1, bias=False).double()
    layer.weight.data = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).reshape(4, 1, 1, 1)
    eqreg = EQReg(layer, C4, {"": (trivial(C4), regular(C4))})
    images = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    (doubled,) = eqreg.double(images, generator=generator_that_draws(1))
    layer(doubled)
    expected = ((1 - 2) ** 2 + (2 - 4) ** 2 + (4 - 8) ** 2 + (8 - 1) ** 2) ** 0.5 * images.norm()
    torch.testing.assert_close(eqreg.penalty(), expected)


def test_frozen_value():
    # 61.44303795858605 also comes out of scipy.signal.correlate2d and numpy.rot90 alone.
    layer = nn.Conv2d(1, 4, 3, padding=1, bias=False).double()
    layer.weight.data = torch.arange(36, dtype=torch.float64).reshape(4, 1, 3, 3) / 36
    eqreg = EQReg(layer, C4, {"": (trivial(C4), regular(C4))})
    (doubled,) = eqreg.double(
        torch.arange(9, dtype=torch.float64).reshape(1, 1, 3, 3), generator=generator_that_draws(1)
    )
    layer(doubled)
    assert eqreg.penalty().item() == pytest.approx(61.44303795858605, rel=1e-12)


def test_network_penalty_is_the_sum_of_its_layers():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    layers = {"0": (trivial(C4), regular(C4)), "2": (regular(C4), regular(C4))}
    eqreg = EQReg(network, C4, layers)
    (doubled,) = eqreg.double(torch.randn(2, 1, 5, 5), generator=generator_that_draws(3))
    network(doubled)
    penalty = eqreg.penalty()
    first = network[0](doubled)
    second = network[2](network[1](first))
    terms = [feature_mismatch(z, 3, C4, regular(C4)) for z in (first, second)]
    torch.testing.assert_close(penalty, sum(terms))
    assert list(eqreg.terms) == ["0", "2"]
    penalty.backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_a_layer_called_twice_counts_twice():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    eqreg = EQReg(layer, C4, {"": (regular(C4), regular(C4))})
    (doubled,) = eqreg.double(torch.randn(1, 4, 5, 5), generator=generator_that_draws(1))
    first = layer(doubled)
    once = eqreg.terms[""].clone()
    layer(doubled)
    assert first.shape[0] == 2
    torch.testing.assert_close(eqreg.penalty(), 2 * once)


def test_double_appends_the_turned_copy_of_every_batch():
    eqreg = EQReg(nn.Conv2d(1, 4, 1), C4, {"": (trivial(C4), regular(C4))})
    inputs, targets = torch.randn(2, 1, 3, 3), torch.randn(2, 2, 3, 3)
    doubled_inputs, doubled_targets = eqreg.double(inputs, targets, generator=generator_that_draws(1))
    assert torch.equal(doubled_inputs, torch.cat((inputs, torch.rot90(inputs, 1, (2, 3)))))
    assert torch.equal(doubled_targets, torch.cat((targets, act(targets, 1, C4))))


def test_elements_are_drawn_uniformly():
    eqreg = EQReg(nn.Conv2d(1, 4, 1), C4, {"": (trivial(C4), regular(C4))})
    generator, image = seeded(0), torch.arange(4.0).reshape(1, 1, 2, 2)
    corners = [int(eqreg.double(image, generator=generator)[0][1, 0, 0, 0]) for _ in range(400)]
    assert all(60 < corners.count(corner) < 140 for corner in range(4))


def test_penalty_and_gradient_at_exact_equivariance_are_zero_not_nan():
    layer = nn.Conv2d(1, 4, 3, padding=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    eqreg = EQReg(layer, C4, {"": (trivial(C4), regular(C4))})
    (doubled,) = eqreg.double(torch.randn(1, 1, 4, 4), generator=generator_that_draws(1))
    layer(doubled)
    eqreg.penalty().backward()
    assert torch.equal(layer.weight.grad, torch.zeros_like(layer.weight))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_do_not_overflow(dtype):
    features = torch.cat((torch.full((1, 4, 64, 64), 1000.0), torch.full((1, 4, 64, 64), -1000.0))).to(dtype)
    value = feature_mismatch(features, 1, C4, regular(C4))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(2000 * (4 * 64 * 64) ** 0.5, rel=1e-2)


def test_nothing_is_recorded_outside_a_step_and_after_removal():
    layer = nn.Conv2d(1, 4, 3, padding=1)
    eqreg = EQReg(layer, C4, {"": (trivial(C4), regular(C4))})
    layer(torch.randn(3, 1, 4, 4))  # an odd batch, as in validation
    assert eqreg.terms == {}
    eqreg.remove()
    assert not layer._forward_hooks
    (doubled,) = eqreg.double(torch.randn(1, 1, 4, 4), generator=seeded())
    layer(doubled)
    with pytest.raises(ValueError, match=r"through every layer, not run: \[''\]"):
        eqreg.penalty()


def test_penalty_is_for_one_step():
    layer = nn.Conv2d(1, 4, 3, padding=1)
    eqreg = EQReg(layer, C4, {"": (trivial(C4), regular(C4))})
    with pytest.raises(ValueError, match="expected a forward pass on a doubled batch"):
        eqreg.penalty()


def test_unknown_layers_groups_and_channels_are_named():
    network = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1))
    with pytest.raises(ValueError, match="expected the name of a layer of Sequential, found '5'"):
        EQReg(network, C4, {"5": (trivial(C4), regular(C4))})
    with pytest.raises(ValueError, match=r"layer '0': expected a representation of CyclicGroup\(4\)"):
        EQReg(network, C4, {"0": (trivial(CyclicGroup(2)), regular(CyclicGroup(2)))})
    with pytest.raises(ValueError, match="at least one layer"):
        EQReg(network, C4, {})
    eqreg = EQReg(network, C4, {"0": (trivial(C4), 2 * regular(C4))})
    (doubled,) = eqreg.double(torch.randn(1, 1, 4, 4), generator=generator_that_draws(1))
    with pytest.raises(ValueError, match="layer '0': expected 8 channels"):
        network(doubled)


def test_oblong_images_and_odd_batches_are_refused():
    eqreg = EQReg(nn.Conv2d(1, 4, 1), C4, {"": (trivial(C4), regular(C4))})
    with pytest.raises(ValueError, match=r"maps onto themselves, found shape \(1, 1, 3, 4\)"):
        eqreg.double(torch.zeros(1, 1, 3, 4), generator=seeded())
    with pytest.raises(ValueError, match="expected a doubled batch, found batch size 3"):
        feature_mismatch(torch.zeros(3, 4, 2, 2), 1, C4, regular(C4))


def test_published_regulariser_lowers_the_measured_mismatch_in_training():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 1, 3, padding=1))
    layers = {"0": (trivial(C4), 2 * regular(C4)), "2": (2 * regular(C4), trivial(C4))}
    eqreg, generator = EQReg(network, C4, layers), seeded(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    images = torch.randn(4, 1, 6, 6, generator=seeded(1))

    def mismatch():
        return (network(act(images, 1, C4)) - act(network(images), 1, C4)).norm() / network(images).norm()

    before = mismatch()
    for _ in range(60):
        inputs, targets = eqreg.double(images, images, generator=generator)
        loss = (network(inputs) - targets).square().mean() + 0.03 * eqreg.penalty()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert mismatch() < 0.5 * before
