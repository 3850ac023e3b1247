"""Formulas become MathML while the site is built: no script is needed to read them, and the font comes along."""

import html as escapes
import re
from pathlib import Path

import ziamath
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
TAG = re.compile(r"\\tag\{([\d.]+)\}")
UPRIGHT = re.compile(r"\\mathrm\{(\w)\}")
FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
REFERENCE = re.compile(r"\((\d+\.\d+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the font: few machines have one with the measures that formulas need."""
    files.append(File.generated(config, f"assets/{FONT.name}", abs_src_path=str(FONT)))
    return files


def to_mathml(latex: str, display: str) -> str:
    """MathML of a formula.

    Raises:
        ValueError: the converter does not know a command of it.
    """
    # the converter knows no sized \\Vert, and sets a single upright letter in italics
    known = UPRIGHT.sub(r"\\text{\1}", re.sub(r"\\[Bb]igg?[lr]?\\Vert", r"\\Vert", latex.strip()))
    found = convert(known, display=display)
    if "\\" in re.sub(r"\\setminus", "", found):
        raise ValueError(f"no MathML for {latex.strip()}")
    return found


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the formulas of a page, and link its equation numbers to the equations."""
    numbers = set(TAG.findall(html))
    pieces = re.split(
        r"(<div class=\"arithmatex\">.*?</div>|<span class=\"arithmatex\">.*?</span>)", html, flags=re.DOTALL
    )
    for k, piece in enumerate(pieces):
        if k % 2 == 0:
            pieces[k] = REFERENCE.sub(lambda found: _reference(found, numbers), piece)
        else:
            pieces[k] = BLOCK.sub(_block, INLINE.sub(_inline, piece))
    return "".join(pieces)


def _reference(found: re.Match[str], numbers: set[str]) -> str:
    number = found.group(1)
    return f'(<a href="#eq-{number}">{number}</a>)' if number in numbers else found.group()


def _inline(found: re.Match[str]) -> str:
    return to_mathml(escapes.unescape(found.group(1)), "inline")


def _block(found: re.Match[str]) -> str:
    latex = escapes.unescape(found.group(1))
    numbers = TAG.findall(latex)
    formula = f'<div class="formula">{to_mathml(TAG.sub("", latex), "block")}</div>'
    if not numbers:
        return f'<div class="equation">{formula}</div>'
    (number,) = numbers
    return f'<div class="equation" id="eq-{number}">{formula}<a class="number" href="#eq-{number}">({number})</a></div>'
