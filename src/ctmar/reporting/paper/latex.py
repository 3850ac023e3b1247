"""Our texts in LaTeX: every letter that it would read as a command is escaped, every symbol has its own."""

import re
import unicodedata

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_SYMBOLS = {
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "⊥": r"$\perp$",
    "‖": r"$\|$",
    "°": r"$^\circ$",
    "√": r"$\surd$",
    "β": r"$\beta$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "ν": r"$\nu$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "→": r"$\to$",
    "²": "$^2$",
    "³": "$^3$",
    "₀": "$_0$",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "…": r"\dots{}",
    "ß": r"{\ss}",
    "\N{NO-BREAK SPACE}": "~",
}
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0308": '"', "\u0327": "c "}
_WORDS = {"λ⊥": r"$\lambda_\perp$", "λᴳ": r"$\lambda_G$"}
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_PARTS = re.compile(r"λ⊥|λᴳ|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+|.", re.DOTALL)


def latex(text: object) -> str:
    r"""A text without markup as LaTeX shows it; letters of other scripts stay, for engines that know them.

    Examples:
        >>> latex("5 % of W_l"), latex("λ⊥ = 2·10⁻⁵")
        ('5 \\% of W\\_l', '$\\lambda_\\perp$ = 2$\\cdot$10$^{-5}$')
        >>> latex("Stühmer, −0.1")
        'St{\\"u}hmer, $-$0.1'
    """
    return "".join(_part(found) for found in _PARTS.findall(str(text)))


def _part(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹":
        return f"$^{{{text.translate(_DIGITS)}}}$"
    if text in _ESCAPED or text in _SYMBOLS:
        return _ESCAPED.get(text) or _SYMBOLS[text]
    letter, *marks = list(unicodedata.normalize("NFD", text))
    if len(marks) == 1 and marks[0] in _ACCENTS:
        return f"{{\\{_ACCENTS[marks[0]]}{letter}}}"
    return " " if text.isspace() else text
