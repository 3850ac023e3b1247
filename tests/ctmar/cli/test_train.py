"""`ctmar train`: every option explained, one file is enough, mistakes are one line."""

import json
import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from ctmar.cli import app, main
from ctmar.cli.progress import progress
from ctmar.config import Network, Run, Training
from ctmar.store.pair_writer import write_pairs
from ctmar.store.pairs import PairRecord, SliceRecord
from ctmar.store.run_folder import RunFolder

SETTINGS = "{epochs: 1, steps_per_epoch: 2, batch_size: 2, patch_size: 8}"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    random = np.random.default_rng(0)
    image = random.random((3, 16, 16), dtype=np.float32)
    mask = np.zeros((16, 16), np.uint8)
    mask[4:6, 4:6] = 1
    path = tmp_path_factory.mktemp("pairs") / "pairs.h5"
    slices = [SliceRecord(image[k], image[k], f"p{k}", f"p{k}/1/0000", 1.0) for k in range(3)]
    write_pairs(path, slices, [PairRecord(image[k], image[k], mask, k, 0, "titanium") for k in range(3)], "train", {})
    return path


def run_main(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["ctmar", "train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_help_explains_every_option_and_every_key(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["train", "--help"], terminal_width=200)
    assert shown.exit_code == 0
    for section in (Training, Network, Run):
        for key, field in section.model_fields.items():
            assert re.search(rf"^ +{key} ", shown.output, re.MULTILINE), key
            first_words = " ".join(field.description.split()[:2])
            assert first_words in shown.output, f"{key}: {first_words}"
    (command,) = [command for command in app.registered_commands if command.callback.__name__ == "train"]
    for name in command.callback.__annotations__.keys() - {"pairs_train", "pairs_validation", "return"}:
        assert f"--{name.replace('_', '-')}" in shown.output
    assert shown.output.count("[default: ") == 4
    assert len(command.callback.__annotations__) == 8 + 1


def test_one_file_is_enough(pairs, tmp_path, monkeypatch, capsys):
    options = ["--run", "method: projection, norm: frobenius, lam_perp: 1e-5, seed: 3"]
    assert run_main(monkeypatch, pairs, "--output", tmp_path / "run", *options, "--settings", SETTINGS) == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoint.pt",
        "kernels.npz",
        "layers.jsonl",
        "metrics.jsonl",
        "run.json",
        "started.json",
        "weights.pt",
    ]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["run"] == {
        "network": "dncnn",
        "method": "projection",
        "norm": "frobenius",
        "lam_perp": 1e-5,
        "lam_equi": 0.0,
        "target": 0.0,
        "balance": 0.0,
        "power": 1,
        "softness": 0.0,
        "start": "equivariant",
        "compute": 1.0,
        "asymmetry": 0.0,
        "slices": 0,
        "seed": 3,
    }
    assert "validation on 1 pairs of 1 held-out patients (p2), training on the other 2 pairs" in capsys.readouterr().err


def test_a_training_that_diverges_is_one_line_and_an_exit_code_of_its_own(pairs, tmp_path, monkeypatch, capsys):
    wild = SETTINGS.replace("}", ", learning_rate: 1.0e+38, warmup_steps: 0}")
    for _ in range(2):  # the second time nothing is trained
        assert run_main(monkeypatch, pairs, "--output", tmp_path / "run", "--settings", wild) == 3
        line = capsys.readouterr().err.splitlines()[-1]
        assert re.fullmatch(
            r"ctmar: the training diverged at step 2 \(.*, loss nan\); see .*not-finite\.json; .*", line
        )
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"started.json", "run.json", "metrics.jsonl", "not-finite.json"}
    monkeypatch.setattr(sys, "argv", ["ctmar", "evaluate", str(pairs), str(tmp_path / "run")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    expected = "run: expected a trained network, found a training that diverged at step 2"
    assert expected in capsys.readouterr().err.splitlines()[-1]


def test_the_form_of_the_workflow(pairs, tmp_path, monkeypatch):
    run = Run(network="small", method="strict", seed=1)
    network = Network(settings={"fields": 1, "depth": 2}).model_dump_json()
    arguments = ["--output", tmp_path / "run", "--run", run.model_dump_json(), "--network", network]
    arguments += ["--settings", SETTINGS, "--group", "C4"]
    assert run_main(monkeypatch, pairs, pairs, *arguments) == 0
    assert RunFolder(tmp_path / "run").read_description().run == run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "method: magic"], "settings of run: 'method'"),
        (["--run", "method: projection"], "method 'projection' with norm"),
        (["--run", "method: projection, norm"], "settings of run: "),
        (["--run", "method: plain, seed: [1"], "settings of run: not valid YAML"),
        (["--run", "plain"], "settings of run: expected keys and values, found str 'plain'"),
        (["--network", "nothing"], "network architecture: expected one of"),
        (["--settings", "{epoch: 3}"], "unknown key 'epoch'"),
    ],
)
def test_mistakes_are_one_line(pairs, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run_main(monkeypatch, pairs, "--output", "o", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("ctmar: ")
    assert message in error[-1]
    assert not list(tmp_path.iterdir())


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys):
    with progress("work") as show:
        for done in range(1001):
            show(done, 1000, "loss 0.1")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["work: 0/1000 loss 0.1", "work: 1000/1000 loss 0.1"]


def test_progress_on_a_terminal_shows_time_left_and_text(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "70", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with progress("work") as show:
        show(500, 1000, "loss 0.1, 3 images/s")  # of these, an earlier process did 500
        show(501, 1000, "loss 0.1, 3 images/s")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert re.search(r"work .*501/1000 +(-:--:--|\d:\d\d:\d\d)", shown)
    assert "loss 0.1, 3 images/s" in shown
