"""The certificate is a bound: random networks are attacked by gradient ascent, and nothing is found."""

import os

import pytest
import torch
from tests.equiproj.certificates.random_networks import attack, attack_near, random_network

from equiproj import certified_defect_bound, project_
from equiproj.certificates import local_defect_bound

N_NETWORKS = int(os.environ.get("EQUIPROJ_ATTACKED", "15"))  # 500 take some minutes


@pytest.mark.slow
def test_no_attack_exceeds_the_bound() -> None:
    """Theorem (equation 7.4): ‖f(gx) − g f(x)‖ ≤ slope ‖x‖ + offset for every input."""
    largest = 0.0
    for seed in range(N_NETWORKS):
        network, group, types, n_channels = random_network(seed)
        bound = certified_defect_bound(network, group, image_shape=(6, 6), layers=types)
        found = attack(network, group, bound, n_channels, n_channels, n_steps=30)
        assert found <= 1, f"seed {seed}: {found} of the bound"
        largest = max(largest, found)
    print(f"{N_NETWORKS} networks, largest defect / bound {largest:.3f}")
    assert largest > 0.05  # the attack does something


@pytest.mark.slow
def test_nor_does_rounding_exceed_it_once_networks_are_projected() -> None:
    ratios = []
    for seed in range(N_NETWORKS // 3):
        network, group, types, n_channels = random_network(seed)
        if any("BatchNorm" in type(part).__name__ for part in network.modules()):
            continue  # its constants are no layer's, and not projected
        project_(network, group, layers=types)
        bound = certified_defect_bound(network, group, image_shape=(6, 6), layers=types)
        assert bound.slope > 0
        found = attack(network, group, bound, n_channels, n_channels, n_steps=8)
        assert found <= 1, f"seed {seed}: {found} of the bound"
        ratios.append(found)
    assert max(ratios) > 0  # float32 does not commute exactly


@pytest.mark.slow
def test_nor_does_any_image_near_those_that_a_local_bound_is_for() -> None:
    """Theorem (equation 7.5): ‖f(gx) − g f(x)‖ ≤ value for every x within the radius."""
    largest = 0.0
    for seed in range(N_NETWORKS // 5):
        network, group, types, n_channels = random_network(seed)
        centres = 3 * torch.randn(4, n_channels, 6, 6)
        radius = (0.01, 1.0)[seed % 2]
        bound = local_defect_bound(network, group, centres, radius, layers=types)
        found = attack_near(network, group, bound, centres, n_channels, n_steps=10)
        assert found <= 1, f"seed {seed}, radius {radius}: {found} of the bound"
        largest = max(largest, found)
    print(f"{N_NETWORKS // 5} networks, radius 0.01 or 1, largest defect / bound {largest:.3f}")
    assert largest > 0.5  # near the inputs it is sharp
