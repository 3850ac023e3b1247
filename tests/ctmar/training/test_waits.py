"""Where a training step waits for the device: once, to read loss, penalty and largest gradient together.

On a GPU `tests/gpu` counts the waits themselves. Here the functions that a step runs are recorded for every method and
network, and their source is searched for what makes torch wait for an answer. What is found has to be in `ALLOWED`,
with the reason; and with torch's own calls counted, one step may read one tensor.
"""

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import torch
from benchmarks.gpu_check.graphs import NETWORKS as SMALL_NETWORKS
from benchmarks.gpu_check.part_b_cost import NORMS
from torch.utils._python_dispatch import TorchDispatchMode

from ctmar.config import Network, Run, Training
from ctmar.config.methods import METHODS
from ctmar.models.build import NETWORKS
from ctmar.training.patches import Batch
from ctmar.training.random_streams import torch_seed
from ctmar.training.state import TrainingState, start
from ctmar.training.step import training_step

SOURCE = Path(__file__).resolve().parents[3] / "src"
METHODS_THAT_WAIT = {
    "item",
    "tolist",
    "cpu",
    "numpy",
    "nonzero",
    "argwhere",
    "masked_select",
    "unique",
    "any",
    "all",
    "allclose",
    "equal",
    "synchronize",
}
FUNCTIONS_THAT_WAIT = {"float", "int", "bool"}

# (module, function, what): why it does not wait for the device, or why it may
ALLOWED = {
    ("ctmar.training.step", "backward", "tolist"): "the one wait: loss, penalty and largest gradient together",
    ("ctmar.training.random_streams", "torch_seed", "int"): "a number of NumPy",
    ("equiproj.baselines.augmentation", "random_group_transform", "tolist"): "drawn on the CPU",
    ("equiproj.groups.group", "FiniteGroup.sample", "tolist"): "drawn on the CPU",
    ("equiproj.regularisers.checks", "non_negative", "float"): "a number of Python",
    ("equiproj.layers.assignment", "assign", "float"): "not reached: plain parameters have returned before",
    ("equiproj.layers.assignment", "assign", "allclose"): "not reached: plain parameters have returned before",
    ("equiproj.regularisers.turns", "Turns.at", "float"): "how often a part counts: Python's",
    ("equiproj.regularisers.proximal_penalty", "_rate", "float"): "of a number, unless the optimiser holds a tensor",
}


@contextmanager
def recorded(seen: set[CodeType]) -> Iterator[None]:
    """Collect the code of every function of this project that is entered."""

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(SOURCE)):
            seen.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


@lru_cache
def functions(path: str) -> dict[str, ast.AST]:
    """Functions of a module by their qualified name."""
    found: dict[str, ast.AST] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                found[prefix + child.name] = child
                visit(child, f"{prefix}{child.name}.<locals>.")
            else:
                visit(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)

    visit(ast.parse(Path(path).read_text(encoding="utf-8")), "")
    return found


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, but not in the functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from own_nodes(child)


def waits_in(function: ast.AST) -> Iterator[str]:
    """What in a function makes torch wait for an answer of the device, as far as its source can tell."""
    for node in own_nodes(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS_THAT_WAIT:
            yield node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS_THAT_WAIT:
            yield node.func.id
        elif isinstance(node, ast.Subscript) and is_mask(node.slice):
            yield "boolean index"


def is_mask(index: ast.AST) -> bool:
    """Whether an index is a comparison or the opposite of a mask."""
    return isinstance(index, ast.Compare) or (isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.Invert))


def run_of(method: str, norm: str) -> Run:
    facts = METHODS[method]
    softness = 0.5 if facts.reads_softness else 0.0
    return Run(network="n", method=method, norm=norm, lam_perp=1e-3 if facts.reads_lam_perp else 0.0, softness=softness)


def started(network: str, method: str, norm: str = "none", accumulation: int = 1) -> tuple[TrainingState, Batch]:
    loss = "stages" if network not in ("dncnn", "unet") else "masked_mse"
    training = Training(epochs=1, loss=loss, accumulation=accumulation, ema_decay=0.9, patch_size=16, batch_size=4)
    state = start(run_of(method, norm), Network(architecture=network, settings=SMALL_NETWORKS[network]), training, "C4")
    batch = Batch(torch.rand(4, 3, 16, 16), torch.rand(4, 1, 16, 16), torch.ones(4, 1, 16, 16))
    return state, batch


CASES = [("dncnn", method, "none") for method, facts in METHODS.items() if not facts.reads_norm]
CASES += [("dncnn", method, norm) for method, facts in METHODS.items() if facts.reads_norm for norm in NORMS]
CASES += [(network, "plain", "none") for network in NETWORKS if network != "dncnn"]


def test_what_a_step_runs_holds_no_new_wait():
    seen: set[CodeType] = set()
    for network, method, norm in CASES:
        state, batch = started(network, method, norm, accumulation=2)
        training_step(state, batch, 0)  # tables reach the device once
        torch_seed.cache_clear()  # whatever another test has asked for
        with recorded(seen):
            training_step(state, batch.to(state.device), 1)
    found = set()
    for code in seen:
        function = functions(code.co_filename).get(code.co_qualname)
        if function is not None:
            module = ".".join(Path(code.co_filename).relative_to(SOURCE).with_suffix("").parts)
            found |= {(module, code.co_qualname, what) for what in waits_in(function)}
    names = {code.co_qualname for code in seen}
    assert {"training_step", "ProjectionPenalty.__call__", "DnCNN.forward", "ACDNet.stage_outputs"} <= names
    assert sorted(found - set(ALLOWED)) == [], "mend it, or say in ALLOWED why it does not wait"
    assert sorted(set(ALLOWED) - found) == [], "no step runs it any more: take it out"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x.item()", ["item"]),
        ("float(x.sum())", ["float"]),
        ("x[x > 0]", ["boolean index"]),
        ("x[~mask]", ["boolean index"]),
        ("x[-1]", []),
        ("torch.nonzero(x)", ["nonzero"]),
        ("x.float()", []),
    ],
)
def test_what_counts_as_a_wait(line: str, expected: list[str]):
    (function,) = ast.parse(f"def f(x, mask):\n    return {line}\n").body
    assert list(waits_in(function)) == expected


class Answers(TorchDispatchMode):
    """Counts operations of torch whose answer Python waits for, whoever calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal"):
            self.counted[name] += 1
        elif name in ("index", "index_put", "index_put_"):
            indices = [index for index in args[1] if isinstance(index, torch.Tensor)]
            self.counted["boolean index"] += sum(index.dtype in (torch.bool, torch.uint8) for index in indices)
        return function(*args, **(kwargs or {}))


def counting(counter: Counter[str], name: str) -> Callable[..., Any]:
    original = getattr(torch.Tensor, name)

    def call(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        counter[name] += 1
        return original(tensor, *arguments, **options)

    return call


# group elements are drawn on the CPU; augmentation also counts there how many of each
ON_THE_CPU = {"augmentation": 2, "eqreg": 1, "function_level": 1}


@pytest.mark.parametrize(("network", "method", "norm"), CASES)
def test_a_step_reads_one_tensor(network: str, method: str, norm: str, monkeypatch: pytest.MonkeyPatch):
    state, batch = started(network, method, norm)
    training_step(state, batch, 0)
    answers = Answers()
    for name in ("tolist", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, counting(answers.counted, name))
    with answers:
        training_step(state, batch, 1)
    monkeypatch.undo()
    assert +answers.counted == Counter({"tolist": 1 + ON_THE_CPU.get(method, 0)})
