"""The folder for a paper: every figure and table of the page, texts that LaTeX takes, nothing private."""

import csv
import re
from xml.etree import ElementTree

import pypdfium2
import pytest
from pylatexenc.latexwalker import LatexWalker

from ctmar.config.labels import number
from ctmar.errors import InputError
from ctmar.reporting.paper.bibliography import bibliography
from ctmar.reporting.paper.folder import write_paper

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def paper(results, config, page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "index.html").write_text(page)
    write_paper(results, config, folder / "index.html", folder / "paper")
    return folder / "paper"


def parsed(text):
    """What a strict reader makes of LaTeX; it raises where braces or environments do not match."""
    return LatexWalker(text, tolerant_parsing=False).get_latex_nodes()[0]


def test_every_figure_of_the_page_is_there_as_svg_and_pdf(paper, page):
    n_charts = len(re.findall(r'<figure class="(?:chart|multiples)[" ]', page))
    n_examples = page.count('<article class="example')
    n_kernels = len(re.findall(r'<figure class="kernel"[^>]*(?<!hidden)>', page))
    drawn = sorted(path.stem for path in paper.glob("figures/*.svg"))
    assert len(drawn) == n_charts + n_examples + n_kernels
    assert drawn == sorted(path.stem for path in paper.glob("figures/*.pdf"))
    assert (paper / "figures.tex").read_text().count("\\includegraphics") == len(drawn)


def test_a_drawing_stands_alone(paper):
    """No class, variable or colour of the page is left, and every element is painted by what stands at it."""
    for path in paper.glob("figures/*.svg"):
        text = path.read_text()
        assert not re.search(r"var\(|currentColor|class=|<style|href=\"(?!data:|#)", text), path.name
        root = ElementTree.fromstring(text)
        assert root.attrib["font-family"].startswith("'Liberation Sans'")
        for line in root.iter(f"{SVG}path"):
            assert {"fill", "stroke"} & set(line.attrib), path.name


def test_text_of_a_pdf_is_text(paper, results):
    document = pypdfium2.PdfDocument(str(paper / "figures" / "quality-1-1.pdf"))
    text = document[0].get_textpage().get_text_range()
    assert "PSNR difference to plain [dB]" in text
    augmented = results.models[results.models["method"] == "augmentation"].iloc[0]
    assert number(augmented["psnr_diff_db_mean"], 2, signed=True) in text
    names = [path.stem for path in paper.glob("figures/curves-*.pdf")]
    assert all(len(pypdfium2.PdfDocument(str(paper / "figures" / f"{name}.pdf"))) == 1 for name in names)


def test_tables_are_those_of_the_page_in_latex_and_csv(paper, page, results):
    assert len(list(paper.glob("tables/*.tex"))) == len(list(paper.glob("tables/*.csv"))) == page.count("<table")
    for path in paper.glob("tables/*.tex"):
        text = path.read_text()
        assert parsed(text)
        assert not re.search(r"[−±λ⊥‖⁻·]", text), path.name
        spec = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)[1]
        n_columns = len(re.sub(r"p\{6cm\}", "p", spec))
        body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
        rows = [line for line in body.splitlines() if not line.startswith("\\addlinespace")]
        assert all(len(re.findall(r"(?<!\\)&", row)) == n_columns - 1 for row in rows), path.name
    with (paper / "tables" / "models-dncnn.csv").open(newline="") as file:
        rows = {row["Method"]: row for row in csv.DictReader(file)}
    plain = results.models.iloc[0]
    assert float(rows["Plain"]["Protocol fixed: PSNR [dB]"]) == plain["psnr_db_mean"]
    assert float(rows["Plain"]["Protocol fixed: PSNR [dB], lower limit"]) == round(plain["psnr_db_low"], 2)


def test_methods_cite_what_the_bibliography_has(paper, results, config):
    written = (paper / "methods.tex").read_text()
    assert parsed(written)
    entries = set(re.findall(r"^@\w+\{([\w-]+),$", (paper / "references.bib").read_text(), re.MULTILINE))
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", written) for key in keys.split(",")}
    assert {"berndt2026", "equiproj", "data1", "finzi2021", "holm1979"} <= cited <= entries
    markdown = (paper / "methods.md").read_text()
    training = config.training
    assert f"{training.epochs} epochs of {training.steps_per_epoch} steps" in markdown
    assert f"{len(results.models)} settings with 3 seeds (seeds 0, 1, 2)" in markdown
    assert "2 primary comparisons fixed before the run were corrected by Holm" in markdown


def test_bibtex_closes_every_brace(results):
    text = bibliography(results.sources)
    for entry in text.split("\n@"):
        assert entry.count("{") == entry.count("}")
    assert text.count("@misc{data") == len({source["citation"] for source in results.sources})
    assert parsed(text)


def test_nothing_private_and_nothing_that_runs(paper, study):
    root = str(study.summary.parent.parent)
    for path in paper.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"a-secret-of-the-hospital" not in content, path.name
            assert path.suffix == ".csv" or b"<script" not in content, path.name  # in CSV it is a text like any other
            assert root.encode() not in content, path.name


def test_it_is_written_anew_and_touches_no_other_folder(paper, results, config, tmp_path):
    page = paper.parent / "index.html"
    (paper / "tables" / "old.tex").write_text("old")
    write_paper(results, config, page, paper)
    assert not (paper / "tables" / "old.tex").exists()
    assert not [path for path in paper.parent.iterdir() if path.name.startswith(".paper")]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="found other files"):
        write_paper(results, config, page, mine)
    with pytest.raises(InputError, match="expected the page of `ctmar report`"):
        write_paper(results, config, tmp_path / "none.html", tmp_path / "paper")
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
