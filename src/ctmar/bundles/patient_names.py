"""Pseudonyms in a bundle of somebody's own CT: numbers in their place, so that two bundles cannot be joined by them.

A pseudonym is a salted hash; whoever holds the salt knows the patient, and the same patient has the same pseudonym in
every study with that salt. The numbers keep the order of the pseudonyms, so that tables sorted by them stay sorted.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ctmar.store.pseudonyms import DIGITS

_NAMES = re.compile(rb"(?<![0-9A-Za-z])[%s]-[0-9a-f]{16}(?![0-9A-Za-z])" % "".join(DIGITS).encode())


def pseudonyms_in(content: bytes) -> set[bytes]:
    """The pseudonyms in a text.

    Examples:
        >>> sorted(pseudonyms_in(b"p-0123456789abcdef/s-fedcba9876543210/0001, up-0123456789abcdef"))
        [b'p-0123456789abcdef', b's-fedcba9876543210']
    """
    return set(_NAMES.findall(content))


@dataclass(frozen=True)
class PatientNames:
    """A number for every pseudonym, by prefix and in their order."""

    numbers: dict[bytes, bytes]

    @classmethod
    def of(cls, contents: Iterable[bytes]) -> "PatientNames":
        """The names in some texts."""
        found = sorted({name for content in contents for name in pseudonyms_in(content)})
        counts: dict[bytes, int] = {}
        numbers = {}
        for name in found:
            prefix = name[:1]
            counts[prefix] = counts.get(prefix, 0) + 1
            numbers[name] = b"%s-%06d" % (prefix, counts[prefix])
        return cls(numbers)

    def replace(self, content: bytes) -> bytes:
        """A text with numbers in place of the pseudonyms.

        Examples:
            >>> names = PatientNames.of([b"p-0123456789abcdef", b"p-00000000000000ff"])
            >>> names.replace(b"p-0123456789abcdef,2.5")
            b'p-000002,2.5'
        """
        return _NAMES.sub(lambda found: self.numbers.get(found.group(), found.group()), content)
