"""What the package offers is there on first use, and the names of norms need no torch."""

import importlib
import subprocess
import sys

import pytest

import equiproj


@pytest.mark.parametrize("package", ["equiproj", "equiproj.norms"])
def test_everything_announced_is_there(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__name__ if name != "KNOWN_NORMS" else module.KNOWN_NORMS
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


def test_lazy_names_are_those_of_their_modules():
    from equiproj import ProjectionPenalty
    from equiproj.norms.matrix import matrix_norm
    from equiproj.regularisers.penalty import ProjectionPenalty as Original

    assert ProjectionPenalty is Original
    assert equiproj.norms.matrix_norm is matrix_norm
    assert equiproj.groups.CyclicGroup(4).order == 4


@pytest.mark.parametrize("statement", ["import equiproj", "from equiproj.norms import parse_norm"])
def test_names_need_no_torch(statement):
    program = f"{statement}; import sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_checking_whether_images_turn_in_place_needs_no_sympy():
    program = (
        "import sys, torch; from equiproj.groups import CyclicGroup;"
        " from equiproj.baselines.augmentation import check_image_batches;"
        " check_image_batches((torch.zeros(1, 1, 2, 2),), CyclicGroup(4));"
        " raise SystemExit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
