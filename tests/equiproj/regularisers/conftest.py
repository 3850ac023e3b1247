"""Norms the tests of this room share."""

import pytest

NORMS = [
    *("frobenius", "spectral", "nuclear", "schatten:3", "entrywise:1", "entrywise:4", "entrywise:inf"),
    *("induced:1", "induced:inf", "mixed:2,1", "mixed:1,inf"),
]


@pytest.fixture(params=NORMS)
def norm(request: pytest.FixtureRequest) -> str:
    """Every kind of norm in turn."""
    return request.param
