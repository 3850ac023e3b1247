import subprocess
import sys

import pytest
import torch

from equiproj.testing import compare_routes


@pytest.mark.slow
def test_every_group_agrees():
    command = [sys.executable, "-m", "equiproj.testing.compare_routes", "--seed", "1"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table.strip().endswith("passed")
    assert all(str(case.rho_in.group) in table for case in compare_routes.cases())


def test_a_difference_is_reported(capsys, monkeypatch):
    case = next(compare_routes.cases())
    monkeypatch.setattr(compare_routes, "cases", lambda: iter([case]))
    monkeypatch.setattr(compare_routes, "spatial_projection", lambda case: lambda w: w)
    assert compare_routes.main([]) == 1
    assert capsys.readouterr().out.strip().endswith("FAILED")
    assert compare_routes.compare(case, torch.float64, seed=0)[0] > 0.1


def test_help(capsys):
    with pytest.raises(SystemExit):
        compare_routes.main(["--help"])
    text = capsys.readouterr().out
    assert "--seed" in text
    assert "spectral" in text
