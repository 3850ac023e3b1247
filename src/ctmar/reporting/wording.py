"""Words around counts and lists."""

from collections.abc import Iterable, Sequence


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun, in the plural with an s unless ``nouns`` says otherwise.

    Examples:
        >>> plural(1, "patient"), plural(1200, "slice")
        ('1 patient', '1,200 slices')
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def from_to(numbers: Iterable[float], noun: str) -> str:
    """A count that is not the same everywhere.

    Args:
        numbers: the counts; without any it is none.
        noun: what is counted, in the singular; its plural ends in an s.

    Examples:
        >>> from_to([3, 3, 3], "seed"), from_to([10, 3, 1], "seed"), from_to([], "seed")
        ('3 seeds', '1 to 10 seeds', '0 seeds')
    """
    every = [int(number) for number in numbers]
    least, most = min(every, default=0), max(every, default=0)
    return plural(most, noun) if least == most else f"{least:,} to {plural(most, noun)}"


def verb(n: int, one: str, many: str) -> str:
    """The form of a word that goes with a count.

    Examples:
        >>> verb(1, "is", "are"), verb(2, "is", "are")
        ('is', 'are')
    """
    return one if n == 1 else many


def listing(names: Sequence[str], last: str = "and") -> str:
    """Names as a sentence lists them.

    Examples:
        >>> listing(["one"]), listing(["one", "two", "three"])
        ('one', 'one, two and three')
    """
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else names[0]


def capital(text: str) -> str:
    """A text that begins a sentence.

    Examples:
        >>> capital("no method")
        'No method'
    """
    return text[:1].upper() + text[1:]
