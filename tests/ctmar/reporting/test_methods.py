from typing import get_args

import pytest

from ctmar.config.study import MethodName
from ctmar.models.build import NETWORKS
from ctmar.reporting import marks
from ctmar.reporting.literature import ARCHITECTURES, REFERENCES
from ctmar.reporting.methods import KINDS, METHODS, kind_of, method_text

NORMS = ("frobenius", "spectral", "nuclear", "schatten:3", "entrywise:1", "entrywise:2", "entrywise:inf", "induced:1",
         "induced:inf", "mixed:2,1", "mixed:1,2")  # fmt: skip


def test_every_method_of_the_configuration_is_described():
    assert set(METHODS) == set(get_args(MethodName))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_cites_is_among_the_references(method):
    assert set(method_text(method).cites) <= {reference.key for reference in REFERENCES}


def test_every_architecture_cites_a_paper():
    assert set(NETWORKS) <= set(ARCHITECTURES)
    assert set(ARCHITECTURES.values()) <= {reference.key for reference in REFERENCES}


def test_references_have_keys_of_their_own():
    keys = [reference.key for reference in REFERENCES]
    assert len(keys) == len(set(keys))


def test_series_of_one_study_never_share_colour_and_shape():
    series = [(method, "none") for method in METHODS if method != "projection"]
    series += [("projection", norm) for norm in NORMS]
    assigned = marks.assign_marks(series)
    assert len(set(assigned.values())) == len(series)


def test_colour_tells_the_kind():
    assigned = marks.assign_marks([(method, "none") for method in METHODS])
    for one in METHODS:
        for other in METHODS:
            if kind_of(one) != kind_of(other):
                assert assigned[one, "none"].colour != assigned[other, "none"].colour
    assert assigned["plain", "none"].colour == "currentColor"


def test_kinds_are_in_the_order_of_the_page():
    assert list(dict.fromkeys(map(kind_of, METHODS))) == list(KINDS)
