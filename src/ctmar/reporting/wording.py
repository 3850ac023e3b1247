"""Words around counts and lists."""

from collections.abc import Sequence


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun, in the plural with an s unless ``nouns`` says otherwise.

    Examples:
        >>> plural(1, "patient"), plural(1200, "slice")
        ('1 patient', '1,200 slices')
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


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
