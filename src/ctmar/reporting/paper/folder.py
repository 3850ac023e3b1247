"""The folder ``paper`` beside a report: what an author needs of it, made from its page and its study."""

from collections.abc import Iterator
from pathlib import Path

from ctmar.config import Config
from ctmar.errors import InputError
from ctmar.reporting.paper.bibliography import bibliography
from ctmar.reporting.paper.data_dictionary import dictionary_csv, dictionary_markdown
from ctmar.reporting.paper.figures import PaperFigure, figures
from ctmar.reporting.paper.latex import latex
from ctmar.reporting.paper.methods_paragraph import methods_latex, methods_markdown
from ctmar.reporting.paper.page_tree import read_page
from ctmar.reporting.paper.paper_tables import PaperTable, tables
from ctmar.reporting.study_files import StudyTables
from ctmar.store.atomic import atomic_folder

_README = """# For a paper

Made from the report of the study by `ctmar paper`; LaTeX needs booktabs, amssymb and graphicx, and UTF-8.

* `methods.md` (Pandoc's citations) and `methods.tex`: paragraphs to paste; check every sentence against your study.
* `references.bib`: the paper, the compared methods, this software, the data.
* `figures`: every figure of the report as SVG and PDF; `figures.tex` includes all with their captions.
* `tables`: every table of the report as LaTeX and CSV.
* `data_dictionary.md`, `data_dictionary.csv`: every column of every table in the results.

"""


def write_paper(results: StudyTables, config: Config, page: Path, output: Path) -> int:
    """Write the folder anew, whole or not at all; gives the number of its files.

    Args:
        results: the study.
        config: its configuration.
        page: its report.
        output: the folder.

    Raises:
        InputError: there is no page, or the folder holds something else.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{page}: expected the page of `ctmar report`, found {error.strerror}") from None
    if output.is_dir() and any(output.iterdir()) and not (output / "references.bib").is_file():
        raise InputError(f"{output}: expected a new folder or one of an earlier `ctmar paper`, found other files")
    n_files = 0
    with atomic_folder(output) as made:
        for name, content in _files(results, config, text):
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            n_files += 1
    return n_files


def _files(results: StudyTables, config: Config, text: str) -> Iterator[tuple[str, str | bytes]]:
    page = read_page(text)
    drawn, told = figures(page), tables(page)
    methods = methods_markdown(results, config)
    yield "README.md", _README + _contents(drawn, told)
    yield "methods.md", methods
    yield "methods.tex", methods_latex(methods)
    yield "references.bib", bibliography(results.sources)
    yield "figures.tex", "\n".join(map(_included, drawn))
    yield "data_dictionary.csv", dictionary_csv(config)
    yield "data_dictionary.md", dictionary_markdown(config)
    for figure in drawn:
        yield f"figures/{figure.name}.svg", figure.svg
        yield f"figures/{figure.name}.pdf", figure.pdf
    for table in told:
        yield f"tables/{table.name}.tex", table.latex
        yield f"tables/{table.name}.csv", table.csv


def _contents(drawn: list[PaperFigure], told: list[PaperTable]) -> str:
    named = [
        *((f"figures/{one.name}.pdf", one.caption) for one in drawn),
        *((f"tables/{one.name}.tex", one.caption) for one in told),
    ]
    return "\n".join(f"* `{name}`: {caption}" for name, caption in named) + "\n"


def _included(figure: PaperFigure) -> str:
    lines = [
        "\\begin{figure}",
        "\\centering",
        f"\\includegraphics[width=\\linewidth]{{figures/{figure.name}.pdf}}",
        f"\\caption{{{latex(figure.caption)}}}",
        f"\\label{{fig:{figure.name}}}",
        "\\end{figure}",
        "",
    ]
    return "\n".join(lines)
