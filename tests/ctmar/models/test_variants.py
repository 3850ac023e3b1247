"""Named settings: they build, fit C_4, and have the size they claim."""

import pytest

from ctmar.models import build_network, layer_types
from ctmar.models.build import NETWORKS
from ctmar.models.variants import VARIANTS, count_parameters, describe_networks
from equiproj.groups import CyclicGroup

PUBLISHED = {"acdnet": 1_602_809, "dicdnet": 1_277_332, "oscnet": 1_274_841, "oscnetplus": 1_276_215}
ALL = [(name, variant) for name, variants in VARIANTS.items() for variant in variants]


@pytest.mark.parametrize(("name", "variant"), ALL, ids=lambda value: getattr(value, "name", value))
def test_every_variant_declares_its_layers_for_c4(name, variant):
    types = layer_types(build_network(name, n_blocks=1, **variant.settings), CyclicGroup(4))
    if "36" in variant.name or ("eqreg" in variant.name and variant.name != "eqreg_baseline"):
        assert str(types["image_net_last.blocks.0.0"][0]) == "9*regular of CyclicGroup(4)"


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_of_equal_size_are_within_two_percent(name):
    for variant in VARIANTS[name]:
        if variant.name.startswith("c4") or variant.name in ("published", "commuting"):
            assert count_parameters(name, variant.settings) == pytest.approx(PUBLISHED[name], rel=0.02), variant.name


def test_eqreg_compared_unequal_networks_and_an_equal_one_exists():
    counts = {variant.name: count_parameters("acdnet", variant.settings) for variant in VARIANTS["acdnet"]}
    assert counts["eqreg"] / counts["eqreg_baseline"] > 1.3
    assert counts["eqreg_equal_count"] == pytest.approx(counts["eqreg_baseline"], rel=0.005)
    assert counts["c4_nearest"] == PUBLISHED["acdnet"] - 10


def acdnet_count(n_maps, n_extra, n_atoms):
    """ACDNet's parameters by bookkeeping, 3 × 3 prox-nets, 10 stages."""

    def prox(channels):
        return 6 * (9 * channels**2 + 3 * channels)

    kernels = 2 * (n_maps * n_atoms) ** 2 + 3 * n_maps * n_atoms
    filters = 81 * (n_atoms + n_maps) + 9 * n_extra + 2 * n_maps**2
    return 14 * prox(1 + n_extra) + 12 * (prox(n_maps) + n_maps) + 10 * kernels + filters + 35


def test_nearest_is_nearest():
    assert acdnet_count(6, 32, 32) == PUBLISHED["acdnet"]
    grid = [(n, p, d) for n in (4, 8, 12) for p in range(4, 80, 4) for d in range(4, 97, 4)]
    assert min(grid, key=lambda widths: abs(acdnet_count(*widths) - PUBLISHED["acdnet"])) == (4, 44, 12)


def test_description_lists_every_network():
    described = {network["name"]: network for network in describe_networks()}
    assert list(described) == list(NETWORKS)
    assert described["acdnet"]["settings"]["n_stages"] == 10
    assert {name: described[name]["n_parameters"] for name in PUBLISHED} == PUBLISHED
    assert described["dncnn"]["n_parameters"] == 9873
