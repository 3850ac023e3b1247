"""YAML without what it silently reads as something else than was meant."""

import re
from typing import Any

import yaml

from ctmar.errors import InputError

# Integers of YAML 1.1 that later versions, and people, read as other numbers or as text: 010 is 8 there, 1:30 is 90.
_OCTAL, _SEXAGESIMAL = re.compile(r"[-+]?0[0-9_]+"), re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class _StrictLoader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Refuse a key that is written twice: the first of its values would be gone without a word."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:  # as it is written: what `<<` brings may be overridden
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, first = key.start_mark.line + 1, lines.get((key.tag, key.value))
            if first is not None:
                where = f"on line {line}" if line == first else f"on lines {first} and {line}"
                raise InputError(f"the key '{key.value}' is written twice, {where}: expected it once")
            lines[key.tag, key.value] = line
        return node

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        """Refuse numbers that are no decimal ones."""
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
            for kind, base in ((_OCTAL, 8), (_SEXAGESIMAL, 60)):
                if kind.fullmatch(node.value):
                    line = node.start_mark.line + 1
                    raise InputError(
                        f"line {line}: YAML reads {node.value} as a number of base {base}: write a decimal number, or"
                        " put it in quotes if it is a name"
                    )
        return node


def load(text: str) -> Any:
    """What YAML text holds.

    Raises:
        InputError: a key is written twice, or a number is not a decimal one.
        yaml.YAMLError: it is not YAML.
        ValueError: a date that is none.
    """
    return yaml.load(text, _StrictLoader)
