import numpy as np
import pytest
import torch

from equiproj.groups import SO3
from equiproj.representations import circular_harmonics, spherical_harmonics, wigner_matrix

DEGREES = range(7)
(R, S) = SO3().sample(2, torch.Generator().manual_seed(0))
# e3nn takes y for its polar axis: its (x, y, z) are our (y, z, x).
TO_E3NN = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


@pytest.fixture
def points():
    return np.random.default_rng(0).standard_normal((3, 50))


@pytest.mark.parametrize("degree", DEGREES)
def test_spherical_harmonics_against_e3nn(points, degree):
    o3 = pytest.importorskip("e3nn.o3")
    theirs = o3.spherical_harmonics(
        degree, torch.from_numpy((TO_E3NN @ points).T.copy()), normalize=True, normalization="integral"
    )
    np.testing.assert_allclose(spherical_harmonics(points, degree), theirs.numpy().T, atol=1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_wigner_matrices_against_e3nn(degree):
    o3 = pytest.importorskip("e3nn.o3")
    # e3nn keeps its tables in single precision
    angles = o3.matrix_to_angles(torch.from_numpy(TO_E3NN @ R @ TO_E3NN.T))
    np.testing.assert_allclose(wigner_matrix(R, degree), o3.wigner_D(degree, *angles).numpy(), atol=2e-6)


@pytest.mark.parametrize("degree", DEGREES)
def test_wigner_matrices_turn_the_harmonics(points, degree):
    turned = wigner_matrix(R, degree) @ spherical_harmonics(points, degree)
    np.testing.assert_allclose(turned, spherical_harmonics(R @ points, degree), atol=1e-12)
    product = wigner_matrix(R, degree) @ wigner_matrix(S, degree)
    np.testing.assert_allclose(product, wigner_matrix(R @ S, degree), atol=1e-12)


@pytest.mark.parametrize("degree", DEGREES)
def test_wigner_character_closed_form(degree):
    angle = np.arccos((np.trace(R) - 1) / 2)
    expected = np.sin((2 * degree + 1) * angle / 2) / np.sin(angle / 2)
    assert np.trace(wigner_matrix(R, degree)) == pytest.approx(expected, abs=1e-12)


def test_harmonics_are_orthonormal():
    nodes, weights = np.polynomial.legendre.leggauss(8)
    angle = 2 * np.pi * np.arange(16) / 16
    z, phi = (a.ravel() for a in np.meshgrid(nodes, angle, indexing="ij"))
    points = np.stack([np.sqrt(1 - z**2) * np.cos(phi), np.sqrt(1 - z**2) * np.sin(phi), z])
    values = np.concatenate([spherical_harmonics(points, degree) for degree in range(6)])
    gram = values * np.repeat(weights, 16) * 2 * np.pi / 16 @ values.T
    np.testing.assert_allclose(gram, np.eye(36), atol=1e-12)


def test_circular_harmonics_closed_form():
    x, y = np.random.default_rng(0).standard_normal((2, 20))
    unit = (x + 1j * y) / np.hypot(x, y)
    for m in range(1, 5):
        expected = np.stack([(unit**m).real, (unit**m).imag])
        np.testing.assert_allclose(circular_harmonics(np.stack([x, y]), m), expected, atol=1e-12)


def test_frozen_values():
    values = spherical_harmonics(np.array([[1.0], [2.0], [3.0]]), 2).ravel()
    # closed forms: √(15/4π)(xy, yz), √(5/16π)(3z²−1), √(15/4π) xz, √(15/16π)(x²−y²) at (1, 2, 3)/√14
    expected = [0.15607835, 0.46823504, 0.29286371, 0.23411752, -0.11705876]
    np.testing.assert_allclose(values, expected, atol=1e-7)
