"""Every table of a page as LaTeX (booktabs) and as CSV, whose numbers are those behind the page's."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from ctmar.reporting.paper.latex import latex
from ctmar.reporting.paper.page_tree import Node
from ctmar.store.tables import without_formula

_NUMBER = re.compile(r"([+−]?\d[\d.,]*)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")
_LIMITS = re.compile(r"\[(.+), (.+)\]")
_LINE = 45  # letters of a cell that stand in one line
_LEVEL = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")


@dataclass(frozen=True)
class PaperCell:
    """A cell: its text, what stands small below it, and the number behind it, if there is one."""

    text: str
    below: str = ""
    value: str = ""


@dataclass(frozen=True)
class PaperTable:
    """A table of the page; a row of one cell is a heading within it."""

    name: str
    caption: str
    headings: list[str]
    rows: list[list[PaperCell]]

    @property
    def latex(self) -> str:
        """As LaTeX: a tabular with the rules of booktabs, its caption, and a label."""
        n = len(self.headings)
        lines = [_latex_row(row, n) for row in self.rows]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs,amssymb,graphicx}",
                "\\begin{table}",
                "\\centering",
                f"\\caption{{{latex(self.caption)}}}",
                f"\\label{{tab:{self.name}}}",
                "\\resizebox{\\linewidth}{!}{%",
                f"\\begin{{tabular}}{{{self._columns}}}",
                "\\toprule",
                " & ".join(map(latex, self.headings)) + r" \\",
                "\\midrule",
                *lines,
                "\\bottomrule",
                "\\end{tabular}}",
                "\\end{table}",
                "",
            ]
        )

    @property
    def _columns(self) -> str:
        """Names on the left and numbers on the right; long texts are set in lines."""
        rows = [row for row in self.rows if len(row) == len(self.headings)]
        longest = [max(len(row[k].text + row[k].below) for row in rows) for k in range(len(self.headings))]
        return "".join("p{6cm}" if n > _LINE else "r" if k else "l" for k, n in enumerate(longest))

    @property
    def csv(self) -> str:
        """As CSV: one column for each heading and two for its limits, numbers in ASCII and with every digit known."""
        rows = [row for row in self.rows if len(row) == len(self.headings)]
        limits = [any(_LIMITS.fullmatch(row[k].below) for row in rows) for k in range(len(self.headings))]
        header = [
            column
            for name, has_limits in zip(self.headings, limits, strict=True)
            for column in (name, *([f"{name}, lower limit", f"{name}, upper limit"] if has_limits else []))
        ]
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(ascii_number, header))
        for row in rows:
            fields = [field for cell, own in zip(row, limits, strict=True) for field in _fields(cell, own)]
            writer.writerow(map(without_formula, fields))
        return file.getvalue()


def tables(page: Node) -> list[PaperTable]:
    """The tables of a page, in its order."""
    counts = Counter[str]()
    found = []
    for node in page.all("table"):
        section = node.around("section")
        about = section.attributes.get("id", "table") if section else "table"
        counts[about] += 1
        name = node.attributes.get("id", "").removeprefix("table-") or f"{about}-{counts[about]}"
        found.append(_table(node, re.sub(r"[^\w-]", "-", name)))
    return [table for table in found if table.rows and table.headings]


def ascii_number(text: str) -> str:
    """A number as a program reads it; other texts stay.

    Examples:
        >>> ascii_number("−0.13"), ascii_number("+1.5"), ascii_number("4.0·10⁻⁸"), ascii_number("1,602,809")
        ('-0.13', '1.5', '4.0e-8', '1602809')
        >>> ascii_number("λ⊥ 10⁻⁵"), ascii_number("–")
        ('λ⊥ 10⁻⁵', '')
    """
    if text == "–":
        return ""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    exponent = f"e{found[2].translate(_LEVEL)}" if found[2] else ""
    return found[1].translate(_LEVEL).replace(",", "").lstrip("+") + exponent


def _table(node: Node, name: str) -> PaperTable:
    caption, head = node.first("caption"), node.first("thead")
    rows = [
        [_cell(cell) for cell in row.children if isinstance(cell, Node) and cell.tag in ("th", "td")]
        for row in node.all("tr")
        if row.around("thead") is None
    ]
    return PaperTable(name, caption.text if caption else "", _headings(head), [row for row in rows if row])


def _headings(head: Node | None) -> list[str]:
    """The last row of the head, each heading behind the family that it stands under."""
    if head is None:
        return []
    *above, last = list(head.all("tr"))
    families = [
        cell.text for row in above for cell in _cells(row) for _ in range(int(cell.attributes.get("colspan", "1")))
    ]
    names = [_heading(cell) for cell in _cells(last)]
    return [
        f"{family}: {name}" if family else name
        for family, name in zip(families or [""] * len(names), names, strict=len(families) == len(names))
    ]


def _cells(row: Node) -> list[Node]:
    return [cell for cell in row.children if isinstance(cell, Node) and cell.tag in ("th", "td")]


def _heading(cell: Node) -> str:
    button, unit = cell.first("button"), cell.first("small")
    name = _words(button) if button else _words(cell)
    return f"{name} [{unit.text}]" if unit else name


def _cell(cell: Node) -> PaperCell:
    below = " ".join(small.text for small in cell.all("small"))
    return PaperCell(_words(cell), below, cell.attributes.get("data-value", ""))


def _words(node: Node) -> str:
    """What a cell says itself: no small print, no mark, nothing for screen readers alone."""
    kept = (
        child if isinstance(child, str) else _words(child)
        for child in node.children
        if isinstance(child, str) or not (child.tag in ("small", "svg") or {"hidden", "judgement"} & child.classes)
    )
    return " ".join("".join(kept).split())


def _fields(cell: PaperCell, with_limits: bool) -> list[str]:
    found = _LIMITS.fullmatch(cell.below)
    limits = [ascii_number(found[1]), ascii_number(found[2])] if found else ["", ""]
    below = f" ({cell.below})" if cell.below and found is None else ""
    return [(cell.value or ascii_number(cell.text)) + below, *(limits if with_limits else [])]


def _latex_row(row: list[PaperCell], n_columns: int) -> str:
    if len(row) != n_columns:
        return rf"\addlinespace \multicolumn{{{n_columns}}}{{l}}{{\emph{{{latex(row[0].text)}}}}} \\"
    return " & ".join(latex(cell.text) + _small(cell.below) for cell in row) + r" \\"


def _small(text: str) -> str:
    return rf" {{\scriptsize {latex(text)}}}" if text else ""
