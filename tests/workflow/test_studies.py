"""Two studies in one checkout: what they share is made once, and neither touches the other."""

import hashlib
import re
from pathlib import Path

import pytest
import yaml
from tests.workflow.planned import rules_planned

pytestmark = pytest.mark.workflow
SHARED = {"acquire", "ingest", "split", "simulate", "join_pairs"}


@pytest.fixture
def study(snakemake, tmp_path):
    """A function that writes the small study under another name, with one section changed."""

    def write(name: str, section: str, **changes: object) -> Path:
        values = yaml.safe_load(snakemake.config.read_text())
        values["study"] = {**values["study"], "seeds": [0], "runs": [{"method": "plain"}]}
        del values["judgement"]  # its comparison needs the penalty
        values[section] = {**values.get(section, {}), **changes}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every file of the finished study and of what studies share."""
    files = [path for name in ("results/small", "reports/small", "resources") for path in (folder / name).rglob("*")]
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
        if path.is_file()
    }


def test_a_second_study_shares_the_pairs_and_touches_nothing_of_the_first(copied_study, snakemake, snakemake_on, study):
    before = contents(copied_study)
    second = snakemake_on(study("second", "training", epochs=1))
    done = second(copied_study)
    assert done.returncode == 0, done.stderr[-4000:]
    ran = rules_planned(done.stdout + done.stderr)
    assert not ran & SHARED
    assert {"train", "evaluate_references", "show_data", "report"} <= ran
    assert contents(copied_study) == before
    for one in (second, snakemake):
        again = one(copied_study, "--dry-run")
        assert "Nothing to be done" in again.stdout + again.stderr
    page = (copied_study / "reports" / "index.html").read_text()
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', page) == [
        ("second/index.html", "second"),
        ("small/index.html", "small"),
    ]
    for name in ("catalogue.csv", "quarantine.csv", "split.csv", "thumbnails.npz"):
        first, other = (copied_study / "results" / study / "data" / name for study in ("small", "second"))
        assert first.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("section", "change", "again"),
    [
        ("simulation", {"photons": 1e6}, {"split", "simulate", "join_pairs"}),
        ("split", {"seed": 7}, {"split", "simulate", "join_pairs"}),
        ("ingest", {"image_size": 48}, {"ingest", "split", "simulate", "join_pairs"}),
        ("source", {"licence": "mine"}, {"ingest", "split", "simulate", "join_pairs"}),
        ("evaluation", {"examples": 1}, set()),
        ("report", {"title": "Mine"}, set()),
    ],
)
def test_a_study_makes_again_what_its_settings_change_and_leaves_that_of_the_first(
    finished_study, snakemake, snakemake_on, study, section, change, again
):
    done = snakemake_on(study("second", section, **change))(finished_study, "--dry-run", "--workflow-profile", "none")
    assert done.returncode == 0, done.stderr
    assert rules_planned(done.stdout) & SHARED == again
    made = set(re.findall(r"^ +output: (.*)$", done.stdout, re.MULTILINE))
    outputs = {path for line in made for path in line.split(", ")}
    assert outputs
    assert not [path for path in outputs if (finished_study / path).exists()]


def test_the_reasons_for_leaving_out_are_there_when_nothing_is_left(snakemake_on, study, tmp_path):
    done = snakemake_on(study("strict", "ingest", image_size=64, minimum_body_fraction=1.0))(tmp_path / "checkout")
    assert done.returncode != 0
    assert (tmp_path / "checkout" / "logs" / "strict" / "quarantine.csv").read_text().count("\n") > 3
