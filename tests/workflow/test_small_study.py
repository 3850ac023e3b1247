"""A small study really run: from the download of real CT to the report, repeated and changed."""

import json
import zipfile
from dataclasses import replace

import pytest
import yaml
from tests.workflow.planned import rules_planned

pytestmark = pytest.mark.workflow


def test_the_report_is_there_and_reaches_for_nothing(finished_study):
    report = finished_study / "reports" / "small"
    page = (report / "index.html").read_text()
    assert len(page) > 100_000
    assert (report / "model_card.md").is_file()
    assert "Apache-2.0" in (report / "dataset_card.md").read_text()


def test_a_second_run_has_nothing_to_do(finished_study, snakemake):
    done = snakemake(finished_study, "--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_the_cluster_profile_needs_no_number_of_cores(copied_study, snakemake_on_slurm):
    # nothing is left to submit, but the threads of every rule are worked out
    done = snakemake_on_slurm(copied_study)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Nothing to be done" in done.stdout + done.stderr


def test_no_patient_is_in_two_subsets(finished_study):
    rows = (finished_study / "results" / "small" / "data" / "split.csv").read_text().splitlines()[1:]
    patients = [row.split(",")[1] for row in rows]  # of the one fold
    assert len(patients) == len(set(patients)) >= 3


def test_snakemake_makes_its_own_report(copied_study, snakemake):
    done = snakemake(copied_study, "--report", "report.zip")
    assert done.returncode == 0, done.stderr[-3000:]
    assert any(name.endswith("report.html") for name in zipfile.ZipFile(copied_study / "report.zip").namelist())


def test_mlflow_holds_every_run(finished_study):
    mirrored = json.loads((finished_study / "results" / "small" / "mlflow" / "synchronised.json").read_text())
    assert (mirrored["n_runs"], mirrored["n_mirrored"], mirrored["missing"]) == (6, 6, "")


def test_a_bundle_is_the_same_twice_and_reproduces_the_study(finished_study, snakemake, tmp_path):
    for name in ("one.zip", "two.zip"):
        done = snakemake.ctmar(finished_study, "bundle", "results/small", "--output", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert "MB" in done.stdout
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    arguments = ("--against", "results/small", "--output", str(tmp_path / "kernels.json"))
    done = snakemake.ctmar(finished_study, "reproduce", str(tmp_path / "one.zip"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights of 6 of 6 runs equal, bit for bit" in done.stdout
    assert len(json.loads((tmp_path / "kernels.json").read_text())["processors"]) == 2


def test_a_bundle_is_a_study_that_can_be_planned(finished_study, snakemake_on, snakemake, tmp_path):
    done = snakemake.ctmar(finished_study, "bundle", "results/small", "--output", str(tmp_path / "my bundle"))
    assert done.returncode == 0, done.stderr
    other = snakemake_on(tmp_path / "my bundle" / "config.yaml")
    planned = replace(other, checkout=tmp_path / "my bundle" / "code")(tmp_path / "my bundle", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    # the same study: nothing is simulated, trained or measured again. A script that lies elsewhere is another one to
    # Snakemake, so that the list of runs is made again, and what reads it
    again = replace(other, checkout=tmp_path / "my bundle" / "code")(finished_study, "--dry-run")
    ran = rules_planned(again.stdout)
    assert "provenance" in ran
    assert ran <= {"list_runs", "all", *SHOWN} - {"configuration"}, again.stdout


SHOWN = {"summarise", "configuration", "report", "paper", "provenance", "track_synchronise"}


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("training", {"epochs": 3}, {"train", "cost", "list_runs", *SHOWN}),
        (
            "evaluation",
            {"defect_slices": 1},
            {"train", "list_runs", "evaluate_references", *SHOWN},
        ),
        ("judgement", {"confidence": 0.9}, SHOWN),
        ("judgement", {"equivalence_margin_db": 0.2}, SHOWN),
        ("timing", {"repeats": 7}, {"cost", *SHOWN}),
        ("report", {"title": "Another"}, SHOWN - {"summarise"}),
    ],
)
def test_a_changed_setting_runs_what_reads_it_and_what_follows(
    finished_study, snakemake, snakemake_on, tmp_path, section, change, expected
):
    study = yaml.safe_load(snakemake.config.read_text())
    study[section] = study.get(section, {}) | change
    changed = tmp_path / "small.yaml"
    changed.write_text(yaml.safe_dump(study))
    planned = snakemake_on(changed)(finished_study, "--dry-run").stdout
    assert rules_planned(planned) - {"all"} == expected
