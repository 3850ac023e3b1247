"""The table of methods is the whole truth about them."""

import importlib
import inspect
import pkgutil
from typing import get_args

import pytest
from pydantic import ValidationError

from ctmar.config import Run
from ctmar.config.methods import METHODS, MethodName, every_method_in_words
from ctmar.training import methods


def test_names_of_the_table_are_those_of_the_type():
    assert tuple(METHODS) == get_args(MethodName)


def test_every_method_is_a_module_of_its_name_and_every_module_a_method():
    assert {module.name for module in pkgutil.iter_modules(methods.__path__)} == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_module_attaches_in_the_same_way(method):
    module = importlib.import_module(f"ctmar.training.methods.{method}")
    assert list(inspect.signature(module.attach).parameters) == ["network", "run", "group"]
    public = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    assert public == ["attach"]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_takes_what_its_method_reads_and_nothing_else(method):
    facts = METHODS[method]
    norm = {"norm": "spectral"} if facts.reads_norm else {}
    Run(network="n", method=method, **norm)
    settings = {
        "norm": (facts.reads_norm, "nuclear"),
        "lam_perp": (facts.reads_lam_perp, 0.5),
        "lam_equi": (facts.reads_lam_equi, 0.5),
        "softness": (facts.reads_softness, 0.5),
    }
    for key, (reads, value) in settings.items():
        if reads:
            assert getattr(Run(network="n", method=method, **norm | {key: value}), key) == value
        else:
            with pytest.raises(ValidationError, match=f"method '{method}'"):
                Run(network="n", method=method, **norm | {key: value})


def test_the_documentation_of_the_key_names_every_method_once():
    text = every_method_in_words()
    assert [text.count(f"`{method}`") for method in METHODS] == [1] * len(METHODS)


def test_labels_tell_methods_apart():
    assert len({facts.label for facts in METHODS.values()}) == len(METHODS)
