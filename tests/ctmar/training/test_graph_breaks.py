"""`training.compile`: the forward pass of every network with every method is one graph, and so are the penalties."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.gpu_check.graphs import LIKE_STRICT, methods_with

from ctmar.config.methods import METHODS
from ctmar.models.build import NETWORKS as BUILDERS

NETWORKS = list(BUILDERS)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """What the GPU check counts of all networks."""
    # in a process of its own: the annotation checks of the test run are Python that a compiler cannot look through
    variables = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.gpu_check.graphs", *NETWORKS]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_method_has_its_networks():
    assert set(LIKE_STRICT) < set(methods_with(0)) == set(METHODS)
    assert set(methods_with(len(NETWORKS))) == set(METHODS) - set(LIKE_STRICT)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_method_is_one_graph(rows: list[dict], network: str):
    found = [row for row in rows if row["network"] == network]
    assert {row["method"] for row in found} == set(methods_with(NETWORKS.index(network)))
    assert [row for row in found if (row["graphs"], row["breaks"]) != (1, 0)] == []
    penalties = [row for row in found if "penalty" in row]
    assert penalties
    assert [row for row in penalties if (row["penalty"]["graphs"], row["penalty"]["breaks"]) != (1, 0)] == []
