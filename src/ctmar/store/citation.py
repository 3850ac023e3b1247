"""How this software asks to be cited: its CITATION.cff, and where that is not installed its metadata."""

from dataclasses import dataclass
from importlib import metadata

import yaml

from ctmar.store.checkout import Checkout

_FILE = "CITATION.cff"


@dataclass(frozen=True)
class SoftwareCitation:
    """Name, authors, version and licence of the software."""

    title: str
    authors: tuple[str, ...]
    version: str
    licence: str


def software_citation(checkout: Checkout | None = None) -> SoftwareCitation:
    """What to cite of the code that runs.

    Args:
        checkout: the code; without, this.
    """
    path = (checkout or Checkout()).files.get(_FILE)
    if path is not None:
        return parse_citation(path.read_bytes())
    known = metadata.metadata("equiproj")
    return SoftwareCitation("equiproj", (known["Author"],), known["Version"], known["License-Expression"])


def parse_citation(content: bytes) -> SoftwareCitation:
    """What a CITATION.cff says."""
    cited = yaml.safe_load(content)
    names = tuple(
        one.get("name") or f"{one.get('given-names', '')} {one['family-names']}".strip() for one in cited["authors"]
    )
    return SoftwareCitation(cited["title"], names, str(cited["version"]), cited["license"])
