"""What the page says is written for people: no names of keys and columns, and no numbers as a computer prints them."""

import re
from html.parser import HTMLParser

import pytest

RAW = {
    "a norm as the configuration names it": r"\b(?:entrywise|schatten|induced|mixed):",
    "a norm that is infinite": r"\binf\b",
    "a number with an exponent": r"\d[eE][-+]?\d",
    "a minus sign that is a hyphen": r"(?<![\w.,)°–-])-\d",
    "a key of the configuration": r"\b(?:lam_perp|lam_equi|test_time_average|function_level|train_then_project)\b",
    "a column of a table": r"\b\w+_(?:db|hu|mean|low|high)\b",
    "a symbol with an underscore": r"λ_",
}
_FILE = r"[\w.,=+-]+(?:/[\w.,=+-]+)+"  # the table of runs names where weights and logs lie
_SKIPPED = {"script", "style", "pre", "code", "select", "option"}  # code, and the configuration as it was written


class Sentences(HTMLParser):
    """The texts of a page outside of code, and without what names files, versions and checksums (``dl.record``)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._skipped: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in _SKIPPED or self._skipped or dict(attrs).get("class") == "record":
            self._skipped += [tag] if tag not in ("img", "br", "input", "path", "meta", "link", "use", "circle") else []
        for name, value in attrs:
            if name in ("aria-label", "alt", "title") and value and not self._skipped:
                self.texts.append(value)

    def handle_endtag(self, tag):
        if self._skipped and tag in self._skipped:
            while self._skipped.pop() != tag:
                pass

    def handle_data(self, data):
        if not self._skipped and data.strip():
            self.texts.append(data.strip())


@pytest.mark.parametrize("what", RAW)
def test_no_sentence_of_the_page_has_raw_notation(page, what):
    texts = [text for text in Sentences(page).texts if not re.fullmatch(_FILE, text)]
    assert len(texts) > 1000
    assert [text for text in texts if re.search(RAW[what], text)] == []


@pytest.mark.parametrize(
    ("what", "text"),
    list(
        zip(
            RAW,
            [
                "mixed:2,1",
                "entry-wise inf",
                "p = 3.09e-06",
                "a change of -0.12 dB",
                "lam_perp",
                "psnr_db",
                "λ_G = 10⁻³",
            ],
            strict=True,
        )
    ),
)
def test_raw_notation_would_be_found(what, text):
    assert re.search(RAW[what], Sentences(f"<p>{text}</p>").texts[0])
