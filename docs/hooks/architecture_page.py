"""The picture and the table of the architecture page, from the import contracts and the rules."""

import textwrap
from html import escape
from pathlib import Path

from contracts import House, first_line, n_modules, read_houses
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from steps import Step, read_steps

PICTURE, TABLE, LIST = "<!-- rooms: picture -->", "<!-- steps: table -->", "<!-- rooms: list -->"
WIDTH, LEFT, ROW, BOX, GAP, HEAD = 980, 390, 84, 66, 10, 40
LETTER = 6.0  # width of a letter of the small print


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the generated parts in their places."""
    if page.file.src_uri != "architecture.md":
        return markdown
    repository = Path(config.config_file_path).parent
    houses = read_houses(repository)
    for place, text in (
        (PICTURE, draw(houses, repository)),
        (TABLE, table(read_steps(repository))),
        (LIST, rooms(houses, repository)),
    ):
        if place not in markdown:
            raise ValueError(f"architecture.md: expected the line {place}")
        markdown = markdown.replace(place, text)
    return markdown


def draw(houses: list[House], repository: Path) -> str:
    """SVG of both packages: a row may import the rows below it, rooms side by side never import each other."""
    library, study = houses
    height = HEAD + ROW * max(len(house.rows) for house in houses) + 20
    parts = [
        '<div class="wide">',
        f'<svg class="rooms" viewBox="0 0 {WIDTH} {height}" role="group" aria-labelledby="rooms-title">',
        '<title id="rooms-title">Rooms of both packages; imports point down, and from ctmar to equiproj</title>',
        *_house(library, 0, LEFT - 40, height, repository),
        *_house(study, LEFT + 40, WIDTH - LEFT - 40, height, repository),
        f'<path class="arrow" d="M{LEFT + 34} {height - 60} H{LEFT - 30}" />',
        f'<path class="head" d="M{LEFT - 36} {height - 60} l9 -5 v10 z" />',
        f'<text class="note" x="{LEFT}" y="{height - 70}" text-anchor="middle">imports</text>',
        "</svg></div>",
    ]
    return "\n".join(parts)


def _house(house: House, x: int, width: int, height: int, repository: Path) -> list[str]:
    """One package, its lowest row at the bottom."""
    parts = [
        f'<rect class="house" x="{x + 0.5}" y="0.5" width="{width - 1}" height="{height - 1}" rx="6" />',
        f'<text class="package" x="{x + 14}" y="25">{house.package}</text>',
    ]
    top = height - 10 - ROW * len(house.rows)
    for number, row in enumerate(house.rows):
        y = top + ROW * number
        box = (width - 28 - GAP * (len(row) - 1)) / len(row)
        parts += [
            part
            for column, room in enumerate(row)
            for part in _room(house, room, x + 14 + column * (box + GAP), y, box, repository)
        ]
        if number:
            middle = x + width / 2
            parts.append(f'<path class="arrow" d="M{middle} {y - ROW + BOX} V{y - 6}" />')
            parts.append(f'<path class="head" d="M{middle} {y - 1} l-5 -8 h10 z" />')
    return parts


def _room(house: House, room: str, x: float, y: int, width: float, repository: Path) -> list[str]:
    name = f"{house.package}.{room}"
    n = n_modules(repository, name)
    print_below = ", ".join(house.fences.get(room, ())) or f"{n} module{'s' if n != 1 else ''}"
    lines = textwrap.wrap(print_below, int((width - 8) / LETTER))
    middle = f'x="{x + width / 2:.1f}" text-anchor="middle"'
    return [
        f'<a href="reference/{house.package}/{room}.html"><title>{escape(first_line(repository, name))}</title>',
        f'<rect class="room" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BOX}" rx="4" />',
        f'<text class="name" {middle} y="{y + 20}">{room}</text>',
        *(f'<text class="note" {middle} y="{y + 35 + 13 * k}">{escape(line)}</text>' for k, line in enumerate(lines)),
        "</a>",
    ]


def table(steps: list[Step]) -> str:
    """Rule and command, what they do and write, and the rooms that work for them."""
    lines = ["| rule, command | what it does, and the files it writes | rooms |", "|---|---|---|"]
    for step in steps:
        rooms = ", ".join(f"[{room}](reference/ctmar/{room}.md)" for room in step.rooms) or "—"
        does = "<br>".join([step.comment, *(f"`{path}`" for path in step.outputs)])
        lines.append(
            f"| `{step.rule}`<br>[`ctmar {step.command}`](commands.md#ctmar-{step.command}) | {does} | {rooms} |"
        )
    return "\n".join(lines)


def rooms(houses: list[House], repository: Path) -> str:
    """Every room with the first sentence of its docstring, from below."""
    lines = ["| room | what it holds |", "|---|---|"]
    for house in houses:
        for row in reversed(house.rows):
            for room in row:
                name = f"{house.package}.{room}"
                lines.append(f"| [{name}](reference/{house.package}/{room}.md) | {first_line(repository, name)} |")
    return "\n".join(lines)
