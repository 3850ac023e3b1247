import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from equiproj.groups import O2, SO2, CyclicGroup, DihedralGroup
from equiproj.projections import ConvProjector, LinearProjector, project_conv
from equiproj.representations import irrep, irreps, regular, standard, trivial

C4, D4 = CyclicGroup(4), DihedralGroup(4)
PROJECTORS = {
    "orbits": ConvProjector(trivial(C4) + regular(C4), regular(C4), (3, 3)),
    "orbits in broken blocks": ConvProjector(3 * regular(C4), 3 * regular(C4), (2, 2), n_blocks=2),
    "plain average": LinearProjector(standard(D4) + regular(D4), 2 * standard(D4)),
    "irreps": ConvProjector(regular(D4), trivial(D4), (3, 3), route="spectral"),
    "irreps in blocks": ConvProjector(2 * regular(C4), 2 * regular(C4), (1, 1), n_blocks=2, route="spectral"),
    "continuous": LinearProjector(irrep(SO2(), 1) + trivial(SO2()), 2 * irrep(SO2(), 1)),
    "steerable": ConvProjector(trivial(O2()), irreps(O2(), 1)[-1], (3, 3)),
}
every_projector = pytest.mark.parametrize("projector", PROJECTORS.values(), ids=PROJECTORS)


def draw(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@every_projector
def test_gradients(projector):
    weight = draw(*projector.weight_shape).requires_grad_()
    direction = torch.randn_like(weight)
    (gradient,) = torch.autograd.grad((projector(weight) * direction).sum(), weight)
    torch.testing.assert_close(gradient, projector(direction))
    small = lambda w: (projector(w) ** 3).sum()  # noqa: E731
    assert torch.autograd.gradcheck(small, weight, fast_mode=True)
    assert torch.autograd.gradgradcheck(small, weight, fast_mode=True)


@every_projector
def test_leading_axes_are_a_batch(projector):
    batch = draw(2, 3, *projector.weight_shape)
    expected = torch.stack([projector(w) for w in batch.flatten(0, 1)]).reshape(batch.shape)
    torch.testing.assert_close(projector(batch), expected)
    torch.testing.assert_close(torch.func.vmap(torch.func.vmap(projector))(batch), expected)
    torch.testing.assert_close(torch.func.vmap(projector, in_dims=1, out_dims=1)(batch), expected)


@every_projector
def test_strided_weights(projector):
    weight = draw(*projector.weight_shape[::-1]).permute(*range(len(projector.weight_shape) - 1, -1, -1))
    torch.testing.assert_close(projector(weight), projector(weight.contiguous()))
    assert weight.shape == projector.weight_shape


@every_projector
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision(projector, dtype):
    weight = draw(*projector.weight_shape).to(dtype)
    found = projector(weight)
    assert found.dtype == dtype
    exact = projector(weight.double())
    assert float((found.double() - exact).abs().max()) <= 2 * torch.finfo(dtype).eps * float(exact.abs().max())


@every_projector
def test_zero_stays_zero(projector):
    weight = torch.zeros(projector.weight_shape, requires_grad=True)
    projected = projector(weight)
    assert projected.abs().max() == 0
    projected.sum().backward()
    assert weight.grad.isfinite().all()


@every_projector
def test_copies_and_pickles(projector):
    weight = draw(*projector.weight_shape)
    for twin in (copy.deepcopy(projector), pickle.loads(pickle.dumps(projector))):
        assert twin == projector
        torch.testing.assert_close(twin(weight), projector(weight), rtol=0, atol=0)


@every_projector
def test_weights_on_another_device(projector):
    """Without numbers here; tests/gpu compares those of a GPU."""
    weight = draw(*projector.weight_shape)
    found = projector(weight.to("meta"))
    assert found.device.type == "meta"
    assert found.shape == weight.shape


def test_autocast_changes_nothing():
    for projector in PROJECTORS.values():
        weight = draw(*projector.weight_shape, dtype=torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = projector(weight)
        torch.testing.assert_close(found, projector(weight), rtol=0, atol=0)


COMPILED = """
import torch
from equiproj.groups import CyclicGroup, DihedralGroup
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import regular, standard
rho, turn = regular(CyclicGroup(4)), standard(DihedralGroup(4))
for projector in (
    ConvProjector(rho, 2 * rho, (3, 3)), LinearProjector(turn, 2 * turn), LinearProjector(turn, turn, "spectral")
):
    compiled = torch.compile(lambda w: projector(w).square().sum(), fullgraph=True, backend="aot_eager")
    weight = torch.randn(projector.weight_shape, requires_grad=True)
    torch.testing.assert_close(compiled(weight), projector(weight).square().sum())
    (gradient,) = torch.autograd.grad(compiled(weight), weight)
    torch.testing.assert_close(gradient, 2 * projector(weight).detach())
    torch._dynamo.reset()
"""


@pytest.mark.slow
def test_compiles_without_graph_break():
    # in a process of its own: the type checks of the test run are not traceable
    result = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_layers(wrap):
    torch.manual_seed(0)
    layer = wrap(nn.Conv2d(4, 8, 3))
    rho_in, rho_out = regular(C4), 2 * regular(C4)
    weight = layer.weight
    (weight - project_conv(weight, rho_in, rho_out)).square().sum().backward()
    gradients = [p.grad for p in layer.parametrizations.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() and g.abs().max() > 0 for g in gradients)


def test_projectors_are_values():
    make = lambda: ConvProjector(regular(C4), regular(C4), (3, 3))  # noqa: E731
    assert make() == make()
    assert hash(make()) == hash(make())
    assert make() != ConvProjector(regular(C4), regular(C4), (3, 3), route="spectral")
    assert "rho_in=regular of CyclicGroup(4)" in repr(make())
