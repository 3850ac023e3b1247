"""Every page of the documentation site: whole, offline, and every link leads somewhere."""

import base64
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from ctmar.cli.app import app

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("use", "href")}
SECTIONS = ("Home", "Tutorials", "How it works", "Use", "Reference", "Project")


class Page(HTMLParser):
    """Anchors of a page, what it links to, what it loads, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if (tag, name) in LOADS and value:
                self.loaded.append(value)
            if tag == "a" and name == "href" and value:
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_section_has_its_pages(site: Path, pages: dict[Path, Page]):
    names = {str(path.relative_to(site.resolve())) for path in pages}
    configured = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    assert tuple(title for entry in configured["nav"] for title in entry) == SECTIONS
    for package in ("equiproj", "ctmar"):
        folder = REPOSITORY / "src" / package
        rooms = {p.stem for p in folder.iterdir() if (p / "__init__.py").is_file() or p.suffix == ".py"}
        assert {f"reference/{package}/{room}.html" for room in rooms if not room.startswith("_")} <= names
    assert {"index.html", "architecture.html", "derivation.html", "configuration.html"} <= names


def test_every_command_is_there_with_its_options(site: Path):
    text = (site / "commands.html").read_text(encoding="utf-8")
    commands = vars(typer.main.get_command(app))["commands"]
    assert re.findall(r'<h2 id="ctmar-([a-z-]+)"', text) == list(commands)
    options = {option for command in commands.values() for parameter in command.params for option in parameter.opts}
    assert {o for o in options if o.startswith("--") and f"<code>{o}</code>" not in text} <= {"--help"}


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]):
    for path, page in pages.items():
        assert [address for address in page.loaded if urlsplit(address).scheme not in ("", "data")] == [], path
        assert [address for address in page.loaded if address.startswith("//")] == [], path
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"url\(\s*[\"']?([^)\"']+)", sheet.read_text(encoding="utf-8"))
        assert [a for a in addresses if urlsplit(a).scheme not in ("", "data") or a.startswith("//")] == [], sheet


def test_every_link_and_everything_loaded_is_there(site: Path, pages: dict[Path, Page]):
    missing = []
    for path, page in pages.items():
        for address in {*page.links, *page.loaded}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                missing.append(f"{path.relative_to(site.resolve())}: {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                missing.append(f"{path.relative_to(site.resolve())}: {address} (no such anchor)")
    assert missing == []


def test_every_notebook_is_a_page_with_what_its_cells_printed_and_drew(site: Path, pages: dict[Path, Page]):
    notebooks = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        page = " ".join(pages[(site / "notebooks" / f"{path.stem}.html").resolve()].text.split())
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        printed = [" ".join("".join(output["text"]).split()) for output in outputs if "text" in output]
        assert len(printed) > 3
        assert [text for text in printed if text not in page] == []
        drawn = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        on_site = [picture.read_bytes() for picture in sorted((site / "notebooks").glob(f"{path.stem}-*.png"))]
        assert on_site == [base64.b64decode(picture) for picture in drawn]


def test_every_formula_was_rendered_and_every_equation_has_an_anchor(site: Path, pages: dict[Path, Page]):
    numbers = re.findall(r"\\tag\{([\d.]+)\}", (REPOSITORY / "docs" / "derivation.md").read_text(encoding="utf-8"))
    derivation = pages[(site / "derivation.html").resolve()]
    assert {f"eq-{number}" for number in numbers} <= derivation.anchors
    for path, page in pages.items():
        assert "arithmatex" not in page.source, path
        if "reference" not in path.parts:  # there, code may hold such signs
            assert not re.search(r"\$\$|\\\[|\\\(|\\(?:Vert|rho|text|sup|operatorname)\b", page.text), path
    assert derivation.source.count("<math") > 200


def test_the_picture_shows_every_room_of_the_contracts(site: Path):
    picture = re.search(r"<svg class=\"rooms\".*?</svg>", (site / "architecture.html").read_text("utf-8"), re.DOTALL)
    assert picture is not None
    drawn = re.findall(r'<text class="name"[^>]*>(\w+)</text>', picture.group())
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    houses = [contract for contract in contracts if contract.get("containers") in (["equiproj"], ["ctmar"])]
    layers = [row for contract in houses for row in contract["layers"]]
    rooms = [room for row in layers for room in re.split(r"\s*[|:]\s*", row) if room != "__main__"]
    assert sorted(drawn) == sorted(rooms)
    for box, texts in re.findall(r'<rect class="room"([^>]*)/>(.*?)</a>', picture.group(), re.DOTALL):
        y, height = (float(re.search(rf' {name}="([^"]+)"', box)[1]) for name in ("y", "height"))
        assert max(map(float, re.findall(r' y="(\d+)"', texts))) < y + height  # nothing is written below its box


def test_the_table_shows_every_rule_that_calls_a_command(site: Path):
    page = (site / "architecture.html").read_text("utf-8")
    rules = (REPOSITORY / "workflow" / "rules").glob("*.smk")
    source = "\n".join(path.read_text("utf-8") for path in rules)
    for block in re.split(r"^(?=rule |checkpoint )", source, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+ (\w+):", block)
        assert name is not None
        if re.search(r"\bctmar [a-z]", block):
            assert f"<code>{name.group(1)}</code>" in page, name.group(1)


def test_the_reference_holds_what_is_documented(site: Path):
    for address, words in {
        "reference/equiproj/regularisers.html": ("ProjectionPenalty", "measured_defect", "Raises"),
        "reference/equiproj/certificates.html": ("certified_defect_bound", "DefectBound", "Raises"),
        "reference/equiproj/norms.html": ("matrix_norm", "parse_norm"),
        "reference/ctmar/simulation.html": ("simulate_files", "filtered_back_projection"),
        "reference/ctmar/units.html": ("hu_to_attenuation",),
    }.items():
        text = (site / address).read_text(encoding="utf-8")
        assert [word for word in words if word not in text] == [], address
        assert not re.search(r":(func|class|mod|meth):", text), address


def test_every_room_of_the_reference_shows_something(site: Path):
    pages = [path for path in (site / "reference").rglob("*.html") if path.name != "index.html"]
    shown = {path.stem: path.read_text(encoding="utf-8").count('class="doc doc-heading"') for path in pages}
    assert [room for room, n in shown.items() if n == 0] == []
    assert sum(shown.values()) > 500
