"""Templates with escaping on everywhere: names of patients, files and licences come from outside."""

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ctmar.config import labels
from ctmar.reporting import drawing
from ctmar.reporting.wording import plural


@cache
def environment() -> Environment:
    """The templates of this package, for HTML and Markdown alike."""
    jinja = Environment(
        loader=PackageLoader("ctmar.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals.update(
        weight=labels.weight,
        group_in_words=labels.group_in_words,
        number=labels.number,
        plural=plural,
        draw=drawing.draw,
        beside=(drawing.WIDE, drawing.NARROW),
        usual=(drawing.USUAL,),
    )
    jinja.filters["cell"] = markdown_text
    return jinja


def markdown_text(value: object) -> Markup:
    r"""One line of text with all markup of HTML and Markdown escaped.

    Examples:
        >>> str(markdown_text("a|b <i> [x](y)"))
        'a\\|b &lt;i&gt; \\[x\\](y)'
    """
    text = str(escape(" ".join(str(value).split())))
    for character in "\\`*_[]|":
        text = text.replace(character, f"\\{character}")
    return Markup(text)


def asset(name: str) -> Markup:
    """A style sheet or script of this package, to be inlined as it is."""
    return Markup((_static() / name).read_text(encoding="utf-8"))


def assets(ending: str) -> list[Markup]:
    """Every style sheet (``.css``) or script (``.js``) of this package in the order of their names."""
    names = sorted(file.name for file in _static().iterdir() if file.name.endswith(ending))
    return [asset(name) for name in names]


def _static() -> Traversable:
    return resources.files("ctmar.reporting") / "static"
