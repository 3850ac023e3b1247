"""The studies that come with the software can be trained."""

import math
from pathlib import Path

import pytest

from ctmar.config import Run, load_config
from ctmar.models import build_network, layer_types
from ctmar.models.symmetry import study_group

CONFIG = Path(__file__).parents[3] / "config"


@pytest.mark.parametrize("name", ["config", "workstation", "paper"])
def test_every_network_is_built_and_declares_fields_of_the_group(name):
    study = load_config(CONFIG / f"{name}.yaml").study
    for network in study.networks.values():
        settings = {"group_order": study_group(study.group).order, **network.settings}
        assert layer_types(build_network(network.architecture, **settings), study_group(study.group))


def test_the_workstation_network_has_nearly_the_published_size():
    (network,) = load_config(CONFIG / "workstation.yaml").study.networks.values()
    found = sum(parameter.numel() for parameter in build_network(network.architecture, **network.settings).parameters())
    assert found == 1_624_194
    assert math.isclose(found, 1_602_809, rel_tol=0.015)


def test_weights_of_opposite_exponents_have_folders_of_their_own():
    runs = [Run(network="n", method="projection", norm="frobenius", lam_perp=weight) for weight in (1e39, 1e-39)]
    assert len({run.slug for run in runs}) == 2
