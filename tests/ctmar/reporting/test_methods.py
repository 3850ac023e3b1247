import pytest

from ctmar.config.methods import METHODS, Kind
from ctmar.models.build import NETWORKS
from ctmar.reporting import marks
from ctmar.reporting.literature import ARCHITECTURES, REFERENCES

NORMS = ("frobenius", "spectral", "nuclear", "schatten:3", "entrywise:1", "entrywise:2", "entrywise:inf", "induced:1",
         "induced:inf", "mixed:2,1", "mixed:1,2")  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_cites_is_among_the_references(method):
    assert set(METHODS[method].cites) <= {reference.key for reference in REFERENCES}


def test_every_architecture_cites_a_paper():
    assert set(NETWORKS) <= set(ARCHITECTURES)
    assert set(ARCHITECTURES.values()) <= {reference.key for reference in REFERENCES}


def test_references_have_keys_of_their_own():
    keys = [reference.key for reference in REFERENCES]
    assert len(keys) == len(set(keys))


def test_series_of_one_study_never_share_colour_and_shape():
    series = [(name, norm) for name, facts in METHODS.items() for norm in (NORMS if facts.reads_norm else ["none"])]
    assigned = marks.assign_marks(series)
    assert len(set(assigned.values())) == len(series)


def test_colour_tells_the_kind():
    assigned = marks.assign_marks([(method, "none") for method in METHODS])
    for one in METHODS:
        for other in METHODS:
            if METHODS[one].kind is not METHODS[other].kind:
                assert assigned[one, "none"].colour != assigned[other, "none"].colour
    assert assigned["plain", "none"].colour == "currentColor"


def test_every_kind_has_a_colour():
    assert set(marks.COLOURS) == set(Kind)


def test_kinds_are_in_the_order_of_the_page():
    assert list(dict.fromkeys(facts.kind for facts in METHODS.values())) == list(Kind)
