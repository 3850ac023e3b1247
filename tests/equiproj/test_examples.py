"""Every public object shows how it is used; the doctests run what is shown."""

import importlib
import inspect

import pytest

_ABOVE = ("adaptive", "bridges", "testing")
ROOMS = ("groups", "representations", "projections", "norms", "regularisers", "baselines", *_ABOVE)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_object_has_an_example(room):
    module = importlib.import_module(f"equiproj.{room}")
    public = {name: getattr(module, name) for name in module.__all__}
    # names of norms and methods for a type checker are plain strings when they run
    public = {name: item for name, item in public.items() if item is not str}
    bare = [name for name, item in public.items() if callable(item) and ">>>" not in (inspect.getdoc(item) or "")]
    assert not bare
