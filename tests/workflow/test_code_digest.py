"""Edited code runs again what depends on it, and a comment runs nothing; on a copy of the checkout."""

import re
import shutil
from pathlib import Path

import pytest
from tests.workflow.planned import rules_planned

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = {
    match.group(1): match.group(0)
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk"))
    for match in re.finditer(r"^rule (\w+):\n(?:(?: .*)?\n)*", path.read_text(), re.MULTILINE)
}
CALLING = [name for name, text in RULES.items() if "ctmar " in text.partition("shell:")[2]]


@pytest.mark.parametrize("rule", CALLING)
def test_a_rule_names_the_command_that_it_calls(rule):
    text = RULES[rule]
    called = re.findall(r"ctmar ([a-z-]+) ", text.partition("shell:")[2])
    assert re.findall(r'command_digest\("([a-z-]+)"\)', text) == called


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("src", "workflow", "config", "envs", "benchmarks"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc", "results"))
    return tmp_path


@pytest.mark.workflow
def test_the_attenuation_of_water_runs_its_steps_again(finished_study, snakemake_of, checkout):
    units = checkout / "src" / "ctmar" / "units.py"
    units.write_text(units.read_text().replace("= 0.192", "= 0.200"))
    done = snakemake_of(checkout)(finished_study, "--dry-run")
    assert {"ingest", "simulate", "train", "evaluate_references", "report"} <= rules_planned(done.stdout), done.stderr
    assert "acquire" not in rules_planned(done.stdout)


@pytest.mark.workflow
def test_a_change_of_the_report_makes_the_report_again_and_nothing_else(finished_study, snakemake_of, checkout):
    page = checkout / "src" / "ctmar" / "reporting" / "page.py"
    page.write_text(page.read_text().replace("MAXIMUM_BYTES = 25_000_000", "MAXIMUM_BYTES = 25_000_001"))
    done = snakemake_of(checkout)(finished_study, "--dry-run")
    assert rules_planned(done.stdout) == {"report", "paper", "provenance", "all"}, done.stderr


@pytest.mark.workflow
def test_a_comment_in_every_module_runs_nothing_but_where_it_came_from(finished_study, snakemake_of, checkout):
    for path in (checkout / "src").rglob("*.py"):
        path.write_text(f"# a comment\n{path.read_text()}")
    done = snakemake_of(checkout)(finished_study, "--dry-run")
    assert rules_planned(done.stdout) == {"provenance", "all"}, done.stderr  # the copy is no git working tree
