"""Norms the tests of this room share."""

import pytest

# run by tests in processes of their own, and slow to import
collect_ignore = ["compiled_training.py", "distributed_training.py"]

NORMS = [
    *("frobenius", "spectral", "nuclear", "schatten:3", "entrywise:1", "entrywise:4", "entrywise:inf"),
    *("induced:1", "induced:inf", "mixed:2,1", "mixed:1,inf"),
]


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> str:
    """Every kind of norm in turn."""
    return request.param
