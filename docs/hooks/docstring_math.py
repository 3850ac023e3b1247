"""Formulas of docstrings, written in Sphinx's way, in the way of the other pages of the site."""

import re
import textwrap
from typing import Any

import griffe

INLINE = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(r"^([ ]*)\.\. math::\n((?:\1[ ]+.*\n?|[ ]*\n)+)", re.MULTILINE)


class DocstringMath(griffe.Extension):
    """Turns `:math:` and `.. math::` into what pymdownx.arithmatex reads."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = BLOCK.sub(_block, INLINE.sub(r"$\1$", obj.docstring.value))


def _block(found: re.Match[str]) -> str:
    indent, body = found.groups()
    lines = textwrap.dedent(body).strip()
    aligned = rf"\begin{{align*}} {lines} \end{{align*}}" if "&" in lines or r"\\" in lines else lines
    return textwrap.indent(f"\n$$\n{aligned}\n$$\n\n", indent)
