"""The public asserts pass on what is right and fail, with the deviation, on what is wrong."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from equiproj.groups import CyclicGroup, DihedralGroup, SymmetricGroup
from equiproj.projections import ConvProjector, LinearProjector
from equiproj.representations import Representation, regular, standard, trivial
from equiproj.representations.representation import Summand
from equiproj.testing import (
    assert_equivariant,
    assert_is_projection,
    assert_is_representation,
    assert_orthogonal,
    full_weight,
    move_field,
    move_weight,
)
from equiproj.testing.asserts import some_elements

C4 = CyclicGroup(4)


@dataclass(frozen=True)
class Wrong(Summand):
    """A "representation" of C_4 that the library would not build."""

    kind: str
    group = C4
    dim = 2

    def __str__(self):
        return self.kind

    def matrix(self, g):
        turn = standard(C4)(g).numpy()
        match self.kind:
            case "not orthogonal":  # conjugated by a shear: still a homomorphism
                shear = np.array([[1.0, 1.0], [0.0, 1.0]])
                return shear @ turn @ np.linalg.inv(shear)
            case "no homomorphism":
                return standard(C4)(3 if g == 2 else g).numpy()
            case "identity moved":
                return -turn


def wrong(kind):
    return Representation(((1, Wrong(kind)),))


def test_orthogonality():
    assert_orthogonal(2 * regular(C4))
    with pytest.raises(
        AssertionError, match=r"not orthogonal of CyclicGroup\(4\): ρ\(g\)ρ\(g\)ᵀ = 1 at g = 1: .*found 4"
    ):
        assert_orthogonal(wrong("not orthogonal"))


def test_representation_laws():
    assert_is_representation(wrong("not orthogonal"))
    with pytest.raises(AssertionError, match=r"ρ\(1\) = 1: expected a deviation of at most 1e-10, found 2"):
        assert_is_representation(wrong("identity moved"))
    with pytest.raises(AssertionError, match=r"no homomorphism .*found 1"):
        assert_is_representation(wrong("no homomorphism"))


class Fake(LinearProjector):
    """A projector whose map is replaced."""

    def __call__(self, weight):
        right = super().__call__(weight)
        match self.fault:
            case "idempotent":
                return 0.5 * right
            case "self-adjoint":  # an oblique projection onto the multiples of the unit
                return weight[..., :1, :1] * torch.eye(4).double()
            case "equivariant":
                return weight
            case "fixes":
                return torch.zeros_like(right)
            case "nan":
                return right * float("nan")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("idempotent", r"P P = P: expected"),
        ("self-adjoint", "self-adjoint: expected"),
        ("equivariant", r"P\(W\) is equivariant at g = 1: expected"),
        ("fixes", "P fixes what is equivariant: expected"),
        ("nan", "found nan"),
    ],
)
def test_projection_laws(fault, message):
    projector = Fake(regular(C4), regular(C4))
    object.__setattr__(projector, "fault", fault)
    with pytest.raises(AssertionError, match=message):
        assert_is_projection(projector)


def test_equivariance():
    rho = 2 * regular(C4)
    assert_equivariant(torch.relu, rho, rho)
    assert_equivariant(torch.relu, rho, rho, image_shape=(4, 4))
    assert_equivariant(lambda x: x.mean((2, 3)), rho, rho, image_shape=(3, 3))
    ramp = torch.arange(8.0)
    with pytest.raises(AssertionError, match=r"f\(gx\) = g f\(x\) at g = 1: expected a deviation of at most 1e-05"):
        assert_equivariant(lambda x: x + ramp, rho, rho)
    with pytest.raises(AssertionError, match="at g = 1"):
        assert_equivariant(lambda x: x * torch.arange(3.0), rho, rho, image_shape=(3, 3))
    assert_equivariant(lambda x: x + ramp, rho, rho, elements=[0])


def test_a_deviation_is_measured_relative_to_the_output():
    rho = regular(C4)
    # the deviation of x -> 100 x + e_0 is 1, the largest output a few hundred
    with pytest.raises(AssertionError) as caught:
        assert_equivariant(lambda x: 100 * x + torch.eye(4)[0], rho, rho)
    assert 1e-3 < float(str(caught.value).rsplit(" ", 1)[1]) < 1e-2


def test_some_elements():
    assert some_elements(C4) == [0, 1, 2, 3]
    drawn = some_elements(SymmetricGroup(50))
    assert len(drawn) == 26
    assert drawn == some_elements(SymmetricGroup(50))


def test_moved_fields_and_weights():
    image = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    moved = move_field(image, regular(C4), 1)
    torch.testing.assert_close(moved, torch.rot90(image.roll(1, dims=1), dims=(-2, -1)))
    group = DihedralGroup(4)
    kernel = torch.randn(1, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    twice = move_weight(move_weight(kernel, trivial(group), regular(group), 1), trivial(group), regular(group), 4)
    torch.testing.assert_close(twice, move_weight(kernel, trivial(group), regular(group), group.multiply(4, 1)))


def test_full_weights_compute_the_same_layer():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(6, 4, 3, groups=2, bias=False)
    image = torch.randn(1, 6, 5, 5)
    full = full_weight(layer.weight, 2)
    torch.testing.assert_close(torch.nn.functional.conv2d(image, full), layer(image))


def test_convolutions_pass():
    assert_is_projection(ConvProjector(regular(C4), 2 * regular(C4), (3, 3), transposed=True))
