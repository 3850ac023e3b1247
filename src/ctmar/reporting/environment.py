"""Templates with escaping on everywhere: names of patients, files and licences come from outside."""

from functools import cache
from importlib import resources

import altair
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ctmar.reporting import labels
from ctmar.reporting.summary import plural


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
        weight=labels.weight, group_in_words=labels.group_in_words, number=labels.number, plural=plural
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
    text = resources.files("ctmar.reporting").joinpath("static", name).read_text(encoding="utf-8")
    return Markup(text)


@cache
def vega_bundle() -> Markup:
    """Vega, Vega-Lite and Vega-Embed as one script, of the Vega-Lite version that Altair writes."""
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    # inside a string of the bundle this would end the script element early
    return Markup(bundle.replace("</script", "<\\/script"))
