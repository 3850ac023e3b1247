"""A study with code of the user's own, twice side by side as a module of another workflow, from pairs to reports."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.workflow.as_typed import REPOSITORY, run, run_again

pytestmark = pytest.mark.workflow
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


COPIES = {"first": "one/first", "second": "second"}
ALSO = ("augmentation", "eqreg", "strict")  # beside the runs of the tutorial


def tutorials_study(folder: Path) -> None:
    """Write the tutorial's own text and a metric; with the sizes of a tiny study."""
    (folder / "my_code.py").write_text(block("python") + METRIC)
    study = yaml.safe_load(block("yaml"))
    sizes = {key: values for key, values in TINY.items() if key != "study"}
    runs = [*study["study"]["runs"], *(run for run in TINY["study"]["runs"] if run["method"] in ALSO)]
    study |= {**sizes, "study": {**study["study"], "seeds": [0], "runs": runs}}
    study["evaluation"] = TINY["evaluation"] | {"metrics": ["my_code:error"]}
    (folder / "mine.yaml").write_text(yaml.safe_dump(study))


def workflow_of_copies() -> str:
    """A workflow that takes ours in once for each prefix, and asks for what every copy makes."""
    modules = [
        f"""
module {name}:
    snakefile: {str(REPOSITORY / "workflow" / "Snakefile")!r}
    prefix: {prefix!r}
    config: config
use rule * from {name} as {name}_*
"""
        for name, prefix in COPIES.items()
    ]
    targets = ", ".join(f"rules.{name}_all.input" for name in COPIES)
    return f"""configfile: "own/mine.yaml"
{"".join(modules)}
rule everything:
    default_target: True
    input: {targets}
"""


@pytest.fixture(scope="module")
def copies(tmp_path_factory, finished_study) -> Path:
    """The folder in which both copies ran to their reports; the public CT was there."""
    folder = tmp_path_factory.mktemp("copies") / "a folder of mine"
    (folder / "own").mkdir(parents=True)
    tutorials_study(folder / "own")
    (folder / "Snakefile").write_text(workflow_of_copies())
    for prefix in COPIES.values():
        (folder / prefix / "resources").mkdir(parents=True)
        (folder / prefix / "resources" / "packages").symlink_to(finished_study / "resources" / "packages")
    done = run(folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return folder


def test_nothing_is_written_beside_the_prefixes(copies):
    made = {path.relative_to(copies).parts[0] for path in copies.rglob("*") if path.is_file()}
    assert made == {"Snakefile", ".snakemake", "own", "one", "second"}
    for prefix in COPIES.values():
        assert {path.name for path in (copies / prefix).iterdir()} == {
            *("benchmarks", "logs", "reports", "resources", "results")
        }


@pytest.mark.parametrize("prefix", COPIES.values())
def test_the_tutorial_runs_to_the_report(copies, prefix):
    results = copies / prefix / "results" / "mine"
    page = (copies / prefix / "reports" / "mine" / "index.html").read_text()
    assert "my_code:ky_fan" in page
    assert "Metrics of this study’s own" in page
    assert "Let G = D4 be the group of the study, the turns by 90° and the mirror images." in page
    slices = pd.read_parquet(results / "summary" / "slices.parquet")
    assert {"Input", "LI", "plain", "projection", "strict", "augmentation", "eqreg"} <= set(slices["method"])
    np.testing.assert_allclose(slices["own_my_code_error"], slices["mae_hu"])
    descriptions = [json.loads(path.read_text()) for path in results.glob("runs/**/run.json")]
    assert len(descriptions) == 6
    assert {next(iter(found["provenance"]["own_code_sha256"])) for found in descriptions} == {"my_code"}
    assert {found["group"] for found in descriptions} == {"D4"}
    (strict,) = results.glob("runs/*/strict/*/model.json")
    assert json.loads(strict.read_text())["defect_max"] < 1e-5  # over all eight elements
    assert (results / "mlflow" / "synchronised.json").is_file()


def test_what_is_measured_for_one_copy_goes_into_its_report_alone(copies):
    kernels = copies / "second" / "results" / "mine" / "kernels.json"
    kernels.write_text("{}")
    assert run_again(copies) == {"everything", "second_report", "second_paper", "second_provenance"}
    kernels.unlink()


def test_an_edited_file_trains_again_and_leaves_the_data_alone(copies):
    assert run_again(copies) == set()
    file = copies / "own" / "my_code.py"
    file.write_text(file.read_text().replace("[..., :2]", "[..., :3]"))
    rules = {rule.removeprefix("first_") for rule in run_again(copies)}
    assert {"train", "evaluate_references", "cost", "summarise", "report"} <= rules
    assert not {"acquire", "ingest", "split", "simulate"} & rules


def test_what_is_no_norm_ends_the_study_before_it_starts(copies):
    file = copies / "own" / "my_code.py"
    file.write_text(file.read_text().replace(".sum(-1)", ".square().sum(-1)"))
    done = run(copies, "--dry-run")
    assert done.returncode != 0
    assert "study.runs.norm: 'my_code:ky_fan' is no norm: ‖cA‖ = |c|‖A‖" in done.stdout + done.stderr
