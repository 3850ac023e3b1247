"""Networks, norms and groups of the user's own: found, tried, digested, and refused in one line."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from ctmar.config import Study
from ctmar.config.own_code import own_code_sha256, register_extensions
from ctmar.config.study import _GROUP_NAME
from equiproj.groups import parse_group

CODE = """
import torch
from torch import nn
from equiproj.groups import CyclicGroup, DihedralGroup, SO2

class Net(nn.Module):
    def __init__(self, fields=1, group_order=4, channels=1):
        super().__init__()
        self.first = nn.Conv2d(3, fields * group_order, 3, padding=1)
        self.last = nn.Conv2d(fields * group_order, channels, 3, padding=1)

    def forward(self, images):
        return self.last(self.first(images).relu())

class Odd(Net):
    def __init__(self):
        super().__init__(group_order=3)

def crash():
    raise RuntimeError("no\\nluck")

def norm(matrices):
    return torch.linalg.svdvals(matrices)[..., :2].sum(-1)

def square(matrices):
    return matrices.square().sum((-2, -1))

class Flips(DihedralGroup):
    def __init__(self):
        super().__init__(1)

class Lame(CyclicGroup):
    def __init__(self):
        super().__init__(4)

    def inverse(self, a):
        return a

def error(prediction, truth, metal):
    assert prediction.dtype == truth.dtype == "float64" and metal.dtype == bool and metal.any()
    return abs(prediction - truth)[~metal].mean()

def stack(prediction, truth, metal):
    return prediction - truth

def nothing(prediction, truth, metal):
    return float("nan")

def unbounded(prediction, truth, metal):
    return float("inf")

thirds = CyclicGroup(3)
circle = SO2()
answer = 42
"""


# Every case needs a process of its own, since what is imported once stays; they are children of one that has imported
# what takes long. Without its own folder on the path.
PARENT = """
import os, sys
from ctmar.__main__ import main
import torch, ctmar.config, ctmar.config.own_code, equiproj.regularisers

for folder in sys.stdin:
    child = os.fork()
    if child == 0:
        os.chdir(folder.strip())
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.argv = ["ctmar", "validate", "study.yaml"]
        main()
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def parent() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def validate(parent: subprocess.Popen[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`ctmar validate` on a study in the test's folder."""

    def validated(
        study: dict, extensions: Sequence[str] = ("own.py",), code: str = CODE, metrics: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "own.py").write_text(code)
        config = {
            "extensions": list(extensions),
            "study": {"runs": [{"method": "plain"}], **study},
            "evaluation": {"metrics": list(metrics)},
        }
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
        parent.stdin.write(f"{tmp_path}\n")
        parent.stdin.flush()
        exit_code = int(parent.stdout.readline())
        printed = [(tmp_path / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess([], exit_code, *printed)

    return validated


def net(path: str, **settings: object) -> dict:
    return {"networks": {"n": {"architecture": path, "settings": settings}}}


def norm(path: str) -> dict:
    return {"runs": [{"method": "projection", "norm": [path], "lam_perp": [0.1]}]}


def test_own_network_norm_group_and_metric_are_accepted(validate):
    study = {"group": "own:Flips", **net("own:Net", fields=2), **norm("own:norm")}
    found = validate(study, metrics=["own:error"])
    assert (found.returncode, found.stdout) == (0, "study.yaml: valid, 3 training runs\n"), found.stderr


REFUSED = {
    "no such file": ({}, ("missing.py",), r"extensions: .*missing\.py: file not found"),
    "no Python file": ({}, ("study.yaml",), "expected a Python file whose name can be imported, found 'study.yaml'"),
    "taken name": ({}, ("json.py",), "there is another module of the name 'json'; rename the file"),
    "not listed": (net("own:Net"), (), "study.networks.architecture: no module 'own' for 'own:Net'"),
    "no such name": (net("own:Nett"), ("own.py",), "the module of 'own:Nett' has nothing called 'Nett'"),
    "no network": (net("own:answer"), ("own.py",), "expected a class or function for 'own:answer', found int"),
    "unknown setting": (net("own:Net", widht=3), ("own.py",), "unknown setting 'widht', expected one of fields"),
    "wrong output": (
        net("own:Net", channels=2),
        ("own.py",),
        r"expected shape \(2, 1, 32, 32\), found shape \(2, 2, 32",
    ),
    "crash": (net("own:crash"), ("own.py",), r"'own:crash' fails on images of shape .*: RuntimeError: no luck"),
    "layers": (net("own:Odd"), ("own.py",), "study.networks.n: its layers do not fit C4: layer 'first' has 3 output"),
    "no norm": (norm("own:square"), ("own.py",), r"study.runs.norm: 'own:square' is no norm: ‖cA‖ = \|c\|‖A‖"),
    "norm of nothing": (norm("own:answer"), ("own.py",), "expected a function of matrices for 'own:answer', found int"),
    "no group": ({"group": "own:Lame"}, ("own.py",), "'own:Lame' is no group that acts on images: .*g⁻¹g = 1"),
    "between pixels": ({"group": "own:thirds"}, ("own.py",), "study.group: expected a group that moves pixels onto"),
    "infinite": ({"group": "own:circle"}, ("own.py",), "expected an equiproj.groups.FiniteGroup .* found SO2"),
    "unknown group": ({"group": "E4"}, (), "'study.group': expected C<n>, D<n>, a product .* found 'E4'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_line_that_names_its_key(tmp_path, validate, case):
    study, extensions, message = REFUSED[case]
    (tmp_path / "json.py").write_text("")
    found = validate(study, extensions)
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert re.search(message, found.stderr), found.stderr


REFUSED_METRICS = {
    "no import path": (["psnr"], "'evaluation.metrics.0': expected module:name of a metric of your own, found 'psnr'"),
    "twice": (["own:error", "own:error"], "'evaluation.metrics': 'own:error' is written twice, or shares a column"),
    "one column": (["own:a", "own:a_diff"], "'evaluation.metrics': 'own:a' is written twice, or shares a column"),
    "no module": (["owned:error"], "evaluation.metrics: no module 'owned' for 'owned:error'"),
    "no such name": (["own:eror"], "evaluation.metrics: the module of 'own:eror' has nothing called 'eror'"),
    "no function": (["own:answer"], "evaluation.metrics: expected a function of images for 'own:answer', found int"),
    "crash": (["own:crash"], r"evaluation.metrics: 'own:crash' fails on an image: TypeError: crash\(\) takes 0"),
    "no number": (["own:stack"], "evaluation.metrics: 'own:stack': expected a number, found ndarray"),
    "not a number": (["own:nothing"], "'own:nothing': expected a finite number on a small example, found nan"),
    "infinite": (["own:unbounded"], "'own:unbounded': expected a finite number, found inf"),
}


@pytest.mark.parametrize("case", REFUSED_METRICS)
def test_what_is_no_metric_is_one_line_that_names_its_key(validate, case):
    metrics, message = REFUSED_METRICS[case]
    found = validate({}, metrics=metrics)
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert re.search(message, found.stderr), found.stderr


def test_a_file_that_fails_is_one_line(validate):
    found = validate({}, code="import nothing_of_this_name")
    assert found.returncode == 2
    assert found.stderr.startswith("ctmar: extensions: ")
    assert found.stderr.endswith("own.py: ModuleNotFoundError: No module named 'nothing_of_this_name'\n")


def test_the_digest_follows_the_files_that_are_used(tmp_path):
    file = tmp_path / "digested_code.py"
    program = (
        "import json, sys; from pathlib import Path; from ctmar.config.own_code import *\n"
        "register_extensions([Path(sys.argv[1])]); print(json.dumps(own_code_sha256(['digested_code:f', 'frobenius'])))"
    )
    digests = []
    for code in ("def f(): return 1\n", "def f(): return 2\n", "def f(): return 1\n"):
        file.write_text(code)
        done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
        digests.append(json.loads(done.stdout))
    assert digests[0] == digests[2] != digests[1]
    assert list(digests[0]) == ["digested_code"]


def test_a_package_on_the_path_is_digested_and_one_that_is_not_named_is_not():
    assert list(own_code_sha256(["torch.linalg:matrix_norm"])) == ["torch"]
    assert own_code_sha256(["frobenius", "C4", "induced:inf"]) == {}


def test_a_file_that_runs_twice_runs_once(tmp_path):
    file = tmp_path / "counted_code.py"
    file.write_text(f"open({str(tmp_path / 'count')!r}, 'a').write('x')\n")
    register_extensions([file])
    register_extensions([file])
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize("name", ["C1", "C4", "D12", "C2 x D1", "C2xC2x D1"])
def test_names_of_groups_are_those_of_the_library(name):
    assert _GROUP_NAME.fullmatch(name)
    assert parse_group(name).order >= 1


@pytest.mark.parametrize("name", ["E4", "C0", "C4 x", "c4"])
def test_other_names_of_groups_are_none_for_both(name):
    assert not _GROUP_NAME.fullmatch(name)
    with pytest.raises(ValueError, match="expected a group"):
        parse_group(name)


def test_a_study_names_its_own_code_once():
    runs = [{"method": "projection", "norm": ["a:b", "frobenius"], "lam_perp": [1.0]}] * 2
    assert Study(runs=runs, group="c:D").own_code == ["c:D", "a:b"]
