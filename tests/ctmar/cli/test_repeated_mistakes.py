"""What Snakemake tries again after a mistake ends at once, with the same line."""

import sys

import pytest

from ctmar.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command and return its exit code and its last line: ``run(attempt, …)``."""

    def run_it(attempt: str, *words: object) -> tuple[int, str]:
        monkeypatch.setenv("CTMAR_ATTEMPT", attempt)
        monkeypatch.setattr(sys, "argv", ["ctmar", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().err.splitlines() or [""]
        return int(ended.value.code or 0), lines[-1]

    return run_it


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A command that fails for lack of a file, in a folder where mistakes are remembered."""
    monkeypatch.setenv("CTMAR_MISTAKES", str(tmp_path / "mistakes"))
    return "split", tmp_path / "slices.h5", "--output", tmp_path / "split.csv"


def test_the_second_attempt_does_no_work(run, command, tmp_path):
    first = run("1", *command)
    assert first[0] == 2
    command[1].write_text("something else")  # whose message would be another, if somebody looked
    assert run("2", *command) == first
    assert run("3", *command) == first
    assert run("2", *command[:-1], tmp_path / "other.csv") != first


def test_a_new_run_looks_again(run, command):
    first = run("1", *command)
    command[1].write_text("something else")
    second = run("1", *command)
    assert second[0] == 2
    assert second != first
    assert run("2", *command) == second


def test_a_user_at_a_shell_is_never_told_of_the_past(run, command, monkeypatch):
    first = run("1", *command)
    monkeypatch.delenv("CTMAR_MISTAKES")
    command[1].write_text("something else")
    assert run("2", *command) != first


def test_what_succeeds_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CTMAR_MISTAKES", str(tmp_path / "mistakes"))
    assert run("1", "schema")[0] == 0
    assert not (tmp_path / "mistakes").exists()
