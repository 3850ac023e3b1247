"""Formulas become MathML while the site is built: no script is needed to read them, and the font comes along."""

import html as escapes
import re
from pathlib import Path
from xml.etree import ElementTree

import ziamath
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ElementTree.register_namespace("", "http://www.w3.org/1998/Math/MathML")
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
TAG = re.compile(r"\\tag\{([\d.]+)\}")
UNDERNEATH = re.compile(r"\\operatorname\*\{([^}]*)\}_(\w|\{[^}]*\})")
COMMA = "\\,"
LIMITS = ("max", "min", "sup", "inf", "⋃")  # what stands below these, in a line of its own
NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
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
    known = re.sub(r"\\[Bb]igg?[lr]?\\Vert", r"\\Vert", latex.strip())  # no sized ones
    known = UPRIGHT.sub(r"\\text{\1}", known)  # a single upright letter would be set in italics
    known = UNDERNEATH.sub(lambda found: rf"\underset{{{found[2]}}}{{\text{{{found[1].replace(COMMA, ' ')}}}}}", known)
    text = convert(known, display=display)
    if "\\" in text:
        raise ValueError(f"no MathML for {latex.strip()}")
    tree = ElementTree.fromstring(text)
    for element in tree.iter():
        _mend(element, display)
    return ElementTree.tostring(tree, encoding="unicode")


def _mend(element: ElementTree.Element, display: str) -> None:
    """Put right what the converter writes in a way that browsers set badly."""
    tag, text = element.tag.removeprefix(NAMESPACE), element.text
    if element.get("mathvariant") == "monospace":  # browsers know "normal" alone
        element.attrib = {"class": "code"}
    if text == "∞":
        element.tag = f"{NAMESPACE}mi"
    elif text == ":":
        element.tag = f"{NAMESPACE}mo"
        element.attrib = {"lspace": "0.28em", "rspace": "0.28em"}
    elif tag == "mo" and text == "|":
        element.attrib = {"stretchy": "false", "lspace": "0", "rspace": "0"}
    elif tag == "mover" and element[1].text == "―":  # does not stretch
        element.tag, element.attrib = f"{NAMESPACE}mrow", {"class": "overlined"}
        element.remove(element[1])
    elif tag == "msub" and display == "block" and element[0].text in LIMITS:
        element.tag = f"{NAMESPACE}munder"


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
