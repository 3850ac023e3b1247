"""The page of a report as a tree: what a paper takes from it, it takes from what readers see."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import accumulate

_WITHOUT_END = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
_SVG_END = "</svg>"


@dataclass
class Node:
    """An element of the page; a drawing keeps its own XML, in which letters have their case."""

    tag: str
    attributes: dict[str, str]
    parent: "Node | None" = None
    children: list["Node | str"] = field(default_factory=list)
    xml: str = ""

    @property
    def classes(self) -> frozenset[str]:
        """Its classes."""
        return frozenset(self.attributes.get("class", "").split())

    @property
    def ancestors(self) -> list["Node"]:
        """The elements around it, the innermost first."""
        return [] if self.parent is None else [self.parent, *self.parent.ancestors]

    def all(self, tag: str, name: str = "") -> Iterator["Node"]:
        """The elements below it of a tag, and of a class where one is named, in the order of the page."""
        for child in self.children:
            if isinstance(child, Node):
                if child.tag == tag and (not name or name in child.classes):
                    yield child
                yield from child.all(tag, name)

    def first(self, tag: str, name: str = "") -> "Node | None":
        """The first of these."""
        return next(self.all(tag, name), None)

    def around(self, tag: str) -> "Node | None":
        """The innermost element of a tag around it."""
        return next((node for node in self.ancestors if node.tag == tag), None)

    @property
    def text(self) -> str:
        """All its words, without those of buttons."""
        parts = (child if isinstance(child, str) else child.text for child in self.children if not _is_button(child))
        return " ".join("".join(parts).split())


def _is_button(child: "Node | str") -> bool:
    return isinstance(child, Node) and child.tag == "button"


def read_page(text: str) -> Node:
    """The tree of a page that our templates wrote."""
    reader = _Reader(text)
    reader.feed(text)
    reader.close()
    return reader.root


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.page = text
        self.lines = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
        self.root = self.here = Node("page", {})
        self.drawing_begins: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            self.drawing_begins.append(self._place())
        if (tag != "svg" and self.drawing_begins) or (tag == "svg" and len(self.drawing_begins) > 1):
            return
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(node)
        if tag not in _WITHOUT_END:
            self.here = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.drawing_begins:
            self.here.children.append(Node(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            begin = self.drawing_begins.pop()
            if not self.drawing_begins:
                self.here.xml = self.page[begin : self._place() + len(_SVG_END)]
        if not self.drawing_begins and self.here.parent is not None:
            self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        if not self.drawing_begins:
            self.here.children.append(data)

    def _place(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column
