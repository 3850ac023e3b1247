"""A study with code of the user's own, from the download to the report."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "tutorials" / "equivariance_researcher.md").read_text(encoding="utf-8")
TINY = yaml.safe_load(Path(__file__).with_name("d4.yaml").read_text(encoding="utf-8"))


def block(language: str) -> str:
    """The one block of the tutorial in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_tutorial_brings_a_network_and_a_norm_in_under_forty_lines():
    assert len(block("python").splitlines()) + len(block("yaml").splitlines()) < 40


METRIC = """

def error(prediction, truth, metal):
    return 1000 / 0.192 * abs(prediction - truth)[~metal].mean()
"""


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory, snakemake_on):
    """The tutorial's own text and a metric, with the sizes of a tiny study."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "my_code.py").write_text(block("python") + METRIC)
    tiny = {
        name: TINY[name] for name in ("source", "ingest", "split", "simulation", "training", "evaluation", "timing")
    }
    study = yaml.safe_load(block("yaml")) | tiny
    study["study"] |= {"seeds": [0]}
    study["evaluation"] = TINY["evaluation"] | {"metrics": ["my_code:error"]}
    (folder / "mine.yaml").write_text(yaml.safe_dump(study))
    return folder, snakemake_on(folder / "mine.yaml")


def test_the_tutorial_runs_to_the_report(tutorial):
    folder, snakemake = tutorial
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    page = (folder / "reports" / "mine" / "index.html").read_text()
    assert "my_code:ky_fan" in page
    assert "Metrics of this study’s own" in page
    slices = pd.read_parquet(folder / "results" / "mine" / "summary" / "slices.parquet")
    assert {"Input", "LI", "plain", "projection"} <= set(slices["method"])
    np.testing.assert_allclose(slices["own_my_code_error"], slices["mae_hu"])
    descriptions = [json.loads(path.read_text()) for path in folder.glob("results/mine/runs/**/run.json")]
    assert len(descriptions) == 3
    assert {next(iter(found["provenance"]["own_code_sha256"])) for found in descriptions} == {"my_code"}
    assert {found["group"] for found in descriptions} == {"D4"}


def test_an_edited_file_trains_again_and_leaves_the_data_alone(tutorial):
    folder, snakemake = tutorial
    assert "Nothing to be done" in snakemake(folder, "--dry-run").stdout
    file = folder / "my_code.py"
    file.write_text(file.read_text().replace("[..., :2]", "[..., :3]"))
    planned = snakemake(folder, "--dry-run").stdout
    rules = {line.split()[0] for line in planned.splitlines() if line[:1].isalpha() and line.split()[-1:][0].isdigit()}
    assert {"train", "evaluate_references", "cost", "summarise", "report"} <= rules
    assert not {"acquire", "ingest", "split", "simulate"} & rules


def test_what_is_no_norm_ends_the_study_before_it_starts(tutorial):
    folder, snakemake = tutorial
    file = folder / "my_code.py"
    file.write_text(file.read_text().replace(".sum(-1)", ".square().sum(-1)"))
    done = snakemake(folder, "--dry-run")
    assert done.returncode != 0
    assert "study.runs.norm: 'my_code:ky_fan' is no norm: ‖cA‖ = |c|‖A‖" in done.stdout + done.stderr
