"""What Snakemake plans, without running anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.target_jobs import parse_target_jobs_cli_args
from tests.workflow.planned import jobs_planned, rules_planned

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.yaml")
STUDIES = sorted((REPOSITORY / "config").glob("*.yaml"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_scheduler_can_be_told_which_job_to_run(study):
    # a job on a node is "snakemake --target-jobs RULE:WILDCARD=VALUE,WILDCARD=VALUE", which Snakemake has to read back
    from ctmar.config import load_config

    for name in load_config(study).study.jobs():
        (read,) = parse_target_jobs_cli_args([f"train:job={name}"])
        assert read.wildcards_dict == {"job": name}


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_every_profile_plans_the_default_study(snakemake, tmp_path, profile):
    folder = REPOSITORY / "workflow" / "profiles" / profile
    done = snakemake(tmp_path, "--dry-run", "--workflow-profile", str(folder))
    assert done.returncode == 0, done.stderr
    assert "all" in rules_planned(done.stdout)


def test_the_order_of_keys_is_no_reason_to_run_again(snakemake_on, tmp_path):
    def commands(text: str) -> list[str]:
        (tmp_path / "mine.yaml").write_text(text)
        planned = ("--dry-run", "--printshellcmds", "--workflow-profile", "none")
        done = snakemake_on(tmp_path / "mine.yaml")(tmp_path, *planned)
        assert done.returncode == 0, done.stderr
        return sorted(line for line in done.stdout.splitlines() if "ctmar " in line)

    network = "{architecture: dncnn, settings: {fields: 2, depth: 3}}"
    turned = "{settings: {depth: 3, fields: 2}, architecture: dncnn}"
    runs = "[{method: projection, norm: [frobenius], lam_perp: [0.1]}]"
    first = commands(f"study: {{networks: {{a: {network}}}, runs: {runs}}}\ntraining: {{epochs: 1, threads: 2}}")
    assert len(first) > 10
    assert commands(f"training: {{threads: 2, epochs: 1}}\nstudy: {{runs: {runs}, networks: {{a: {turned}}}}}") == first


def test_no_shell_line_grows_with_the_number_of_runs(snakemake_on, tmp_path):
    # Linux takes 128 KiB in one argument, and a shell line is one argument
    def longest(n_seeds: int) -> int:
        study = tmp_path / "many.yaml"
        study.write_text(
            yaml.safe_dump({"study": {"seeds": list(range(n_seeds)), "runs_per_job": 1, "runs": [{"method": "plain"}]}})
        )
        done = snakemake_on(study)(tmp_path, "--dry-run", "--printshellcmds", "--workflow-profile", "none")
        assert done.returncode == 0, done.stderr
        assert jobs_planned(done.stdout)["train"] == n_seeds
        return max(len(line) for line in done.stdout.splitlines() if "ctmar " in line and "seeds" not in line)

    assert longest(400) - longest(10) < 10


@pytest.mark.workflow
def test_as_a_module_with_a_prefix_no_path_is_left_behind(tmp_path):
    (tmp_path / "Snakefile").write_text(
        f"""
module study:
    snakefile: "{REPOSITORY / "workflow" / "Snakefile"}"
    config: {yaml.safe_load(SMALL.read_text())!r}
    prefix: "first"
use rule * from study as first_*
rule everything:
    default_target: True
    input: rules.first_all.input
"""
    )
    command = [sys.executable, "-m", "snakemake", "--directory", str(tmp_path), "--snakefile", tmp_path / "Snakefile"]
    done = subprocess.run(
        [*command, "--dry-run", "--printshellcmds", "--cores", "1"], cwd=tmp_path, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert jobs_planned(done.stdout)["first_train"] == 3
    paths = re.findall(r"(\S*)\b(?:results|reports|logs|resources)/", done.stdout)
    assert len(paths) > 100
    assert {path.lstrip("'@\"") for path in paths} == {"first/", "first/benchmarks/"}


def test_stored_pairs_are_imported_and_nothing_is_simulated(snakemake_on, tmp_path):
    (tmp_path / "benchmark").mkdir()
    study = tmp_path / "stored.yaml"
    source = {"kind": "syndeeplesion", "folder": "benchmark"}
    runs = {"runs": [{"method": "plain"}]}
    study.write_text(yaml.safe_dump({"source": source, "simulation": {"pairs": "stored"}, "study": runs}))
    done = snakemake_on(study)(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert jobs_planned(done.stdout)["import_pairs"] == 3
    assert not {"simulate", "join_pairs"} & rules_planned(done.stdout)


@pytest.mark.workflow
def test_the_root_snakefile_has_the_same_target():
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--forceall"]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert {"all", "report"} <= rules_planned(done.stdout)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("trainig: {}", "unknown key 'trainig'"),
        ("training: {epochs: 1, epochs: 2}", "the key 'epochs' is written twice"),  # Snakemake's reader takes the last
        ("simulation: {pairs: stored}", "needs source.kind 'syndeeplesion'"),
        ("judgement: {primary: [{method: projection, norm: frobenus, against: plain}]}", "frobenus"),
    ],
)
def test_a_wrong_configuration_is_one_line(snakemake_on, tmp_path, change, names):
    study = tmp_path / "wrong.yaml"
    study.write_text(f"study: {{runs: [{{method: plain}}]}}\n{change}")
    done = snakemake_on(study)(tmp_path, "--dry-run")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("equiproj:") and names in line]
    assert not (tmp_path / "results").exists()


TRAINS_ON_GPUS = {"study": {"runs": [{"method": "plain"}]}, "training": {"device": "cuda"}}


def resources_of(text: str, rule: str) -> dict[str, str]:
    """The resources of the first job of a rule that a dry run prints."""
    job = text.split(f"rule {rule}:\n", 1)[1]
    line = next(line for line in job.splitlines() if line.strip().startswith("resources:"))
    return dict(pair.split("=", 1) for pair in line.split(": ", 1)[1].split(", "))


def test_set_resources_on_the_command_line_loses_nothing_of_the_site(snakemake_on, tmp_path, monkeypatch):
    (tmp_path / "site.yaml").write_text("{partition: small, gpu_partition: big, account: lab, maximum_minutes: 90}")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TRAINS_ON_GPUS))
    monkeypatch.setenv("EQUIPROJ_SITE", str(tmp_path / "site.yaml"))
    profile = ("--workflow-profile", str(REPOSITORY / "workflow" / "profiles" / "slurm"))
    done = snakemake_on(tmp_path / "mine.yaml")(tmp_path, "--dry-run", *profile, "--set-resources", "train:mem_mb=7000")
    assert done.returncode == 0, done.stderr
    trained = resources_of(done.stdout, "train")
    assert (trained["slurm_partition"], trained["slurm_account"], trained["gpu"]) == ("big", "lab", "1")
    assert trained["mem_mb"] == "7000"
    assert int(trained["runtime"]) <= 90
    assert resources_of(done.stdout, "ingest")["slurm_partition"] == "small"


def test_another_site_is_no_reason_to_run_again(finished_study, snakemake, tmp_path, monkeypatch):
    (tmp_path / "site.yaml").write_text("{partition: small, modules: [cuda], hdf5_file_locking: false}")
    monkeypatch.setenv("EQUIPROJ_SITE", str(tmp_path / "site.yaml"))
    done = snakemake(finished_study, "--dry-run")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_wrong_site_is_one_line(snakemake, tmp_path, monkeypatch):
    (tmp_path / "site.yaml").write_text("{partitoin: small}")
    monkeypatch.setenv("EQUIPROJ_SITE", str(tmp_path / "site.yaml"))
    done = snakemake(tmp_path, "--dry-run")
    assert done.returncode != 0
    assert f"equiproj: {tmp_path}/site.yaml: unknown key 'partitoin'" in done.stderr
