"""BibTeX of what a study cites: the paper, the compared methods, this software, and the data."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ctmar.reporting.literature import REFERENCES, Reference
from ctmar.reporting.paper.latex import latex
from ctmar.store.checkout import Checkout
from ctmar.store.citation import SoftwareCitation, software_citation

SOFTWARE = "equiproj"
_DOI = re.compile(r"\bdoi:?\s*(10\.\d{4,}/[^\s,;]+)", re.IGNORECASE)
_CAPITALS = re.compile(r"\b\w*[A-Z]\w*[A-Z0-9]\w*\b|\b[A-Z]-\w+\b")  # words that a style must not write in lower case


def bibliography(sources: Sequence[Mapping[str, str]]) -> str:
    """All entries as the text of a ``.bib`` file.

    Args:
        sources: what the data of the study come from, each with package, version, licence and citation.
    """
    entries = [*map(reference_entry, REFERENCES), software_entry(software_citation(), Checkout().commit)]
    return "\n".join([*entries, *data_entries(sources)])


def reference_entry(reference: Reference) -> str:
    r"""One cited work.

    Examples:
        >>> print(reference_entry(REFERENCES[0]), end="")
        @inproceedings{berndt2026,
          author = {Berndt and St{\"u}hmer},
          title = {Approximate equivariance via projection-based regularisation},
          booktitle = {ICML},
          year = {2026},
          series = {PMLR},
          volume = {306},
          eprint = {2601.05028},
          archiveprefix = {arXiv},
        }
    """
    volume, _, number = reference.volume.rstrip(")").partition("(")
    authors = [*reference.authors, *(["others"] if reference.others else [])]
    return _entry(
        reference.kind,
        reference.key,
        author=" and ".join(map(latex, authors)),
        title=_CAPITALS.sub(lambda found: f"{{{found[0]}}}", latex(reference.title)),
        **{
            {"article": "journal", "inproceedings": "booktitle"}.get(reference.kind, "howpublished"): latex(
                reference.venue
            )
        },
        year=str(reference.year),
        series=reference.series,
        volume=volume,
        number=number,
        pages=latex(reference.pages),
        eprint=reference.arxiv,
        archiveprefix="arXiv" if reference.arxiv else "",
    )


def software_entry(cited: SoftwareCitation, commit: str | None) -> str:
    """This software at the version that ran."""
    return _entry(
        "misc",
        SOFTWARE,
        author=" and ".join(f"{{{latex(name)}}}" for name in cited.authors),
        title=f"{{{latex(cited.title)}}}",
        note=", ".join(
            [
                f"Software, version {latex(cited.version)}",
                *([f"commit {commit}"] if commit else []),
                latex(cited.licence),
            ]
        ),
    )


def data_entries(sources: Iterable[Mapping[str, str]]) -> list[str]:
    """One entry for each citation that a source of the data asks for."""
    entries: dict[str, str] = {}
    for source in sources:
        citation = source["citation"]
        found = _DOI.search(citation)
        entries.setdefault(
            citation,
            _entry(
                "misc",
                data_key(len(entries) + 1),
                title=latex(f"CT from {source['package']} {source['version']}".strip()),
                note=latex(f"{citation}. Licence: {source['licence']}"),
                doi=found[1].rstrip(".") if found else "",
            ),
        )
    return list(entries.values())


def data_key(number: int) -> str:
    """The key of the n-th data set, counted from 1."""
    return f"data{number}"


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
