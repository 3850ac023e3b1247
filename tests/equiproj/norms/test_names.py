"""Names of norms: what is read, printed and refused."""

import inspect
import math

import pytest

from equiproj.norms import Norm, parse_norm


@pytest.mark.parametrize(
    "text",
    [
        *("frobenius", "spectral", "nuclear", "schatten:1.5", "schatten:inf", "entrywise:1", "entrywise:inf"),
        *("induced:1", "induced:inf", "mixed:2,1", "mixed:inf,3"),
    ],
)
def test_a_name_survives_the_round_trip(text: str) -> None:
    assert str(parse_norm(text)) == text
    assert parse_norm(parse_norm(text)) is not None
    assert parse_norm(text) == parse_norm(str(parse_norm(text)))


def test_orders_are_numbers() -> None:
    assert parse_norm("mixed:2,inf") == Norm("mixed", (2.0, math.inf))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Frobenius",
            "l2",
            "schatten",
            "schatten:",
            "schatten:0.5",
            "schatten:nan",
            "schatten:1,2",
            "entrywise:-1",
        ),
        *("entrywise:x", "induced:2", "induced", "mixed:2", "mixed:2,1,1", "mixed:0,1", "frobenius:2", "spectral:"),
    ],
)
def test_what_is_not_a_norm_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="norm") as error:
        parse_norm(text)
    assert "\n" not in str(error.value)
    assert repr(text.split(":")[0])[1:-1] in str(error.value)


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"frobenius, spectral, nuclear, schatten:p, entrywise:p, induced:1"):
        parse_norm("euclidean")


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown norm None"):
        inspect.unwrap(parse_norm)(None)


def test_norms_are_immutable_values() -> None:
    norm = parse_norm("spectral")
    with pytest.raises(AttributeError):
        norm.kind = "nuclear"  # type: ignore[misc]
    assert len({norm, parse_norm("spectral")}) == 1
