"""Networks of timm: what of them is covered, where they break, and what is left of the defect after `project_`."""

import sys

import pytest
from benchmarks.outside_networks import GROUP, drawn, of_timm, row

from equiproj import check, equivariance_report, measured_defect, project_

CASES = {name.removeprefix("timm "): case for name, *case in of_timm()}
EQUIVARIANT = ["resnet18, 33 pixels", "vit_tiny", "cait_xxs24", "MlpMixer", "convnext_atto"]


def made(name):
    make, pictures, _ = CASES[name]
    return drawn(make), pictures


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_what_is_said_to_be_equivariant_is(name):
    network, pictures = made(name)
    before = measured_defect(network, pictures, GROUP, rho_out="trivial").maximum
    found = check(network, pictures, GROUP)
    assert found.is_equivariant
    assert (found.coverage.share, found.coverage.missing_vectors) == (1, ())
    project_(network, GROUP, example=pictures, strict=True)
    assert measured_defect(network, pictures, GROUP, rho_out="trivial").maximum < 1e-5 < before


def test_a_stride_that_leaves_a_pixel_over_is_named():
    found = check(*made("resnet18"), GROUP)
    assert found.broken == "layer 'conv1'"
    assert found.reason == "stride 2 with kernel 7 and padding 3 on 32 pixels leaves 1 over at one side"
    assert found.coverage.share == 1
    assert found.defect > 1e-3


def test_what_is_not_followed_is_named():
    network, pictures = made("swin_tiny")
    with pytest.warns(
        UserWarning, match="Types were not followed further: 'view' in 'layers.0.blocks.0' reshapes axes"
    ):
        assert equivariance_report(network, GROUP, example=pictures).coverage.share < 0.1
    assert "first at 'cat' in 'blocks.0.attn'" in row(*made("beit_base"), {})


def test_nothing_stands_in_for_torchvision_afterwards():
    assert "timm" in sys.modules
    assert not hasattr(sys.modules.get("torchvision"), "InterpolationMode")
