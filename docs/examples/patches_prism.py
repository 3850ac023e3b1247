"""Thick slices, with the symmetry that they leave: the patches of `patches.py` under the turns of a square prism (D_4).

The data and the drawn network are those of `patches.py`; the group that every method is told differs, and with it the
start, which is equivariant to it.
"""

from __future__ import annotations

from dataclasses import replace

import harness
import patches

from equiproj.groups import SquarePrismGroup

DOMAIN = replace(
    patches.DOMAIN,
    name="patches_prism",
    title="3-D patches, D_4",
    **patches.told(SquarePrismGroup()),
    broken=False,
)


def main(argv: list[str] | None = None) -> None:
    """Compare the methods."""
    harness.main(DOMAIN, __doc__, argv)


if __name__ == "__main__":
    main()
