"""Every command explains itself, and a user's mistake ends in one line and leaves nothing behind."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ctmar.cli import app, main
from ctmar.store.slices import Slice, write_slices

WORKFLOW = Path(__file__).resolve().parents[3] / "workflow" / "rules"
NAMES = sorted(command.callback.__name__.replace("_", "-") for command in app.registered_commands)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["ctmar", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only error on stderr: its last line, after any lines of progress."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line for line in lines if line.startswith("ctmar: ")] == lines[-1:], lines
    assert not [line for line in lines if line.startswith("Traceback")], lines
    return lines[-1]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_for_every_option(name):
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.strip()


def test_every_rule_calls_a_command_that_exists():
    called = set(re.findall(r'"ctmar ([a-z-]+)', "".join(file.read_text() for file in WORKFLOW.glob("*.smk"))))
    assert called
    assert called <= set(NAMES)


def test_help_does_not_load_torch():
    code = "import sys; from ctmar.cli import app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_empty_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["--output", tmp_path / "slices.h5", "--quarantine", tmp_path / "quarantine.csv"]
    assert run_main(monkeypatch, "ingest", tmp_path / "empty", *arguments) == 2
    assert "empty" in one_line(capsys)
    assert not (tmp_path / "slices.h5").exists()


def test_a_folder_without_ct(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("no image")
    arguments = ["--output", tmp_path / "slices.h5", "--quarantine", tmp_path / "quarantine.csv"]
    assert run_main(monkeypatch, "ingest", folder, *arguments) == 2
    assert "quarantine.csv" in one_line(capsys)
    assert not (tmp_path / "slices.h5").exists()
    assert (tmp_path / "quarantine.csv").read_text().count("\n") == 2


def test_too_few_patients(tmp_path, monkeypatch, capsys):
    image = np.full((32, 32), 0.192, np.float32)
    slices = tmp_path / "slices.h5"
    write_slices(
        slices, [Slice(image, "p-1", "1", "p-1/1/0000", 0.0, 1.0), Slice(image, "p-2", "1", "p-2/1/0000", 0.0, 1.0)]
    )
    assert run_main(monkeypatch, "split", slices, "--output", tmp_path / "split.csv") == 2
    message = one_line(capsys)
    assert "3" in message
    assert "2" in message
    assert not (tmp_path / "split.csv").exists()


def test_an_unknown_norm(tmp_path, monkeypatch, capsys):
    study = tmp_path / "study.yaml"
    study.write_text("study: {runs: [{method: projection, norm: [frobenus]}]}")
    assert run_main(monkeypatch, "validate", study) == 2
    assert "frobenus" in one_line(capsys)


def test_an_unknown_setting(tmp_path, monkeypatch, capsys):
    slices = tmp_path / "slices.h5"
    write_slices(slices, [Slice(np.zeros((32, 32), np.float32), "p-1", "1", "p-1/1/0000", 0.0, 1.0)])
    assert run_main(monkeypatch, "split", slices, "--output", tmp_path / "o", "--settings", "{sed: 1}") == 2
    assert "unknown key 'sed'" in one_line(capsys)


def test_settings_that_are_no_text(tmp_path, monkeypatch, capsys):
    (tmp_path / "settings.yaml").write_bytes(b"\x93NUMPY")
    assert run_main(monkeypatch, "validate", tmp_path / "settings.yaml") == 2
    assert "expected readable UTF-8 text, found UnicodeDecodeError" in one_line(capsys)


NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 2 bytes")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "pairs.h5"), MemoryError(), NO_MEMORY])
def test_a_limit_of_the_machine_is_one_line(error, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr("ctmar.store.join.join_pair_files", fail)
    assert run_main(monkeypatch, "join-pairs", "a.h5", "--output", "b.h5") == 1
    assert ("pairs.h5" if isinstance(error, OSError) else "out of memory") in one_line(capsys)


def test_no_unit_is_lost_in_the_help():
    # rich takes [mm] for a style and drops it
    for name in NAMES:
        shown = " ".join(re.sub("[│\n]", " ", CliRunner().invoke(app, [name, "--help"]).output).split())
        assert not re.search(r" [.;,](?= )", shown), name


@pytest.mark.parametrize(
    "arguments",
    [
        ("join-pairs", "other.h5", "mine.h5"),
        ("simulate", "--image", "mine.h5", "--mask", "mask.npy"),
        ("simulate", "--image", "gt.h5", "--mask", "mine.h5"),
        ("simulate-subset", "mine.h5", "--split", "split.csv", "--subset", "train"),
        ("simulate-subset", "slices.h5", "--split", "mine.h5", "--subset", "train"),
        ("import-pairs", "folder", "--quarantine", "mine.h5"),
    ],
)
def test_no_output_replaces_a_file_of_the_same_command(arguments, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.h5").write_text("precious")
    monkeypatch.chdir(tmp_path)
    assert run_main(monkeypatch, *arguments, "--output", "mine.h5") == 2
    assert "mine.h5: expected a file of its own to write" in one_line(capsys)
    assert (tmp_path / "mine.h5").read_text() == "precious"
