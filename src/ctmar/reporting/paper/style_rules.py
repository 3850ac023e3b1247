"""The style sheet of the page on the elements of a drawing, as attributes: what stands alone has no style sheet."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ctmar.reporting.paper.page_tree import Node

_TAKEN = {
    "display",
    "fill",
    "fill-opacity",
    "font-size",
    "font-weight",
    "opacity",
    "stroke",
    "stroke-dasharray",
    "stroke-linejoin",
    "stroke-opacity",
    "stroke-width",
}
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_PLAIN = re.compile(r"[\w\s.#-]+")  # selectors of tags and classes, one inside the other
_SIZE = re.compile(r"([\d.]+)px\b")
Seen = tuple[str, frozenset[str]]  # tag and classes of an element


@dataclass(frozen=True)
class StyleRules:
    """Rules for drawings, the strongest last, and the colours that they name.

    Args:
        rules: the elements from outside to inside, and what the innermost looks like.
        variables: values of ``--name``.
    """

    rules: list[tuple[list[Seen], dict[str, str]]]
    variables: Mapping[str, str]

    @classmethod
    def of(cls, page: Node) -> "StyleRules":
        """Those of a page on paper: what is for dark or narrow screens is left out."""
        text = re.sub(r"/\*.*?\*/", "", "\n".join(style.text for style in page.all("style")), flags=re.DOTALL)
        top = _without_blocks(text)
        variables = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", next(iter(re.findall(r":root\s*\{([^}]*)\}", top)), "")))
        rules = [
            ([_seen(part) for part in selector.split()], look)
            for selectors, declared in _RULE.findall(top)
            for selector in map(str.strip, selectors.split(","))
            if _PLAIN.fullmatch(selector) and (look := _look(declared))
        ]
        rules.sort(key=lambda rule: sum(len(classes) for _, classes in rule[0]))
        return cls(rules, variables)

    def apply(self, drawing: Element, around: Sequence[Node]) -> None:
        """Write on every element of a drawing how it looks, and take its classes away.

        Args:
            drawing: its outermost element.
            around: the elements of the page around it, the innermost first.
        """
        variables = dict(self.variables)
        for node in reversed(around):
            variables |= dict(re.findall(r"(--[\w-]+):\s*([^;]+)", node.attributes.get("style", "")))
        self._apply(drawing, [(node.tag, node.classes) for node in reversed(around)], variables)

    def _apply(self, element: Element, around: list[Seen], variables: Mapping[str, str]) -> None:
        path = [*around, (element.tag, frozenset(element.attrib.pop("class", "").split()))]
        for selector, look in self.rules:
            if _matches(selector, path):
                element.attrib.update(look)
        for name, value in element.attrib.items():
            value = re.sub(r"var\((--[\w-]+)[^)]*\)", lambda found: variables.get(found[1], "none"), value)
            element.attrib[name] = value.replace("currentColor", variables.get("--ink", "#000000"))
        for child in element:
            self._apply(child, path, variables)


def _without_blocks(text: str) -> str:
    """A style sheet without its blocks of conditions, which hold rules themselves."""
    kept, depth = [], 0
    for part in re.split(r"(@[^{};]+\{|[{}])", text):
        if depth or part.startswith("@"):
            depth += part.endswith("{") - (part == "}")
        else:
            kept.append(part)
    return "".join(kept)


def _seen(text: str) -> Seen:
    tag, *classes = re.sub(r"#[\w-]+", "", text).split(".")
    return tag, frozenset(classes)


def _look(declared: str) -> dict[str, str]:
    look = {}
    for line in declared.split(";"):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "font" and (size := _SIZE.search(value)):
            look["font-size"] = size[1]
        elif name in _TAKEN:
            look[name] = value
    return look


def _matches(selector: Sequence[Seen], path: Sequence[Seen]) -> bool:
    return _fits(selector[-1], path[-1]) and _inside(selector[:-1], path[:-1])


def _inside(selector: Sequence[Seen], path: Iterable[Seen]) -> bool:
    places = iter(path)
    return all(any(_fits(wanted, seen) for seen in places) for wanted in selector)


def _fits(wanted: Seen, seen: Seen) -> bool:
    return wanted[0] in ("", seen[0]) and wanted[1] <= seen[1]
