"""The provenance of a study: what it says, of which files, and that it is the same each time."""

import getpass
import hashlib
import json
import re
import socket
from importlib import metadata
from pathlib import Path

import pytest

from ctmar.bundles.environment_lock import Environment, this_environment
from ctmar.bundles.hardware import this_machine
from ctmar.bundles.study_provenance import describe_study, read_study_provenance
from ctmar.errors import InputError
from ctmar.store.checkout import Checkout
from ctmar.store.code_digest import CodeDigests


def test_every_result_is_there_with_its_checksum(tiny_study):
    record = read_study_provenance(tiny_study.results / "provenance.json")
    expected = {
        path.relative_to(tiny_study.results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tiny_study.results.rglob("*")
        if path.is_file() and path.suffix not in (".sha256", ".jsonl") and path.name != "provenance.json"
    }
    expected |= {  # the accounts of the jobs name hosts
        path.relative_to(tiny_study.results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in ("metrics.jsonl", "layers.jsonl")
        for path in tiny_study.results.rglob(name)
    }
    assert record.results == expected
    assert len([name for name in expected if name.endswith("weights.pt")]) == record.runs.n_runs == 4
    assert set(record.reports) == {"index.html", "model_card.md", "dataset_card.md"}


def test_code_configuration_environment_and_machine(tiny_study):
    record = read_study_provenance(tiny_study.results / "provenance.json")
    assert record.code.source_sha256 == CodeDigests().of_source
    assert record.code.commit == Checkout().commit
    assert record.configuration.published["study"]["name"] == "tiny"
    text = json.dumps(record.configuration.published, sort_keys=True)
    assert record.configuration.sha256 == hashlib.sha256(text.encode()).hexdigest()
    for name in ("torch", "numpy", "snakemake", "equiproj"):
        assert record.environment.packages[name] == metadata.version(name)
    assert "pytest" not in record.environment.packages  # of the environment, and not of the study
    assert record.environment.locks["cpu.txt"]
    assert record.hardware.cores >= 1
    assert record.hardware.memory_gb > 0.1
    assert record.runs.devices == ["cpu"]
    assert record.runs.processors == [record.hardware.kernels]


def test_the_same_study_says_the_same(tiny_study):
    record = describe_study(tiny_study.results, tiny_study.config, tiny_study.reports)
    assert record == read_study_provenance(tiny_study.results / "provenance.json")


def test_no_path_user_or_host(tiny_study):
    text = (tiny_study.results / "provenance.json").read_text()
    for private in (str(tiny_study.root), f"{Path.home()}/"):
        assert private not in text
    for name in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", text)


def test_jobs_that_an_earlier_configuration_left_do_not_count(copied):
    (copied.results / "jobs" / "old.sha256").write_text(f"{'0' * 64}  old/seed-0/weights.pt\n")
    copied_record = describe_study(copied.results, copied.config, copied.reports)
    assert not [name for name in copied_record.results if name.startswith("runs/old")]


@pytest.mark.parametrize("line", ["", "x", f"{'g' * 64}  a", f"{'0' * 64} a", f"{'0' * 64}  a\n{'0' * 64}  a"])
def test_a_list_that_is_none_is_named(copied, line):
    path = next((copied.results / "jobs").glob("*.sha256"))
    path.write_text(f"{line}\n\n")
    with pytest.raises(InputError, match=r"\.sha256: line \d: expected a SHA-256"):
        describe_study(copied.results, copied.config, copied.reports)


def test_a_study_that_is_not_finished_is_named(copied):
    next((copied.results / "jobs").glob("*.sha256")).unlink()
    with pytest.raises(InputError, match=r"\.sha256: expected a list of sha256sum"):
        describe_study(copied.results, copied.config, copied.reports)


def test_imports_of_the_users_own_code_are_part_of_the_environment(tmp_path):
    path = tmp_path / "my_metrics.py"
    path.write_text("import pytest\nimport os\n")
    assert this_environment(Checkout(), [path]).packages["pytest"] == metadata.version("pytest")


def test_an_environment_is_a_file_for_pip():
    found = Environment(
        python="3.11.2", platform="Linux x86_64", packages={"equiproj": "0.1.0", "torch": "2.13.0+cpu"}, locks={}
    )
    assert found.as_requirements() == "# Python 3.11.2, Linux x86_64\ntorch==2.13.0\n"


def test_kernels_are_held_by_the_environment_and_that_is_said(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert this_machine().limits["ONEDNN_MAX_CPU_ISA"] == "AVX2"
