"""The notebooks run, what they assert holds, and what is stored in them is what comes out."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell of code printed or returned, without what takes its own time to run."""
    found = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert [output for output in outputs if output.output_type == "error"] == []
        found += [
            "".join(output.get("text", "")) + output.get("data", {}).get("text/plain", "")
            for output in outputs
            if "perf_counter()" not in cell.source or "started =" in cell.source
        ]
    return found


def words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_comes_out(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    run = NotebookClient(nbformat.read(path, as_version=4), timeout=300, resources={"metadata": {"path": FOLDER}})
    expected, found = texts(stored), texts(run.execute())
    assert list(map(words, found)) == list(map(words, expected))
    for text, wanted in zip(found, expected, strict=True):
        numbers, others = ([float(n.replace("−", "-")) for n in NUMBER.findall(each)] for each in (text, wanted))
        # a training elsewhere rounds otherwise; zero is what rounding leaves
        assert numbers == pytest.approx(others, rel=0.2, abs=1e-10), wanted


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_makes_no_claim_that_it_does_not_check(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert any(cell.cell_type == "code" and cell.source.startswith("assert ") for cell in notebook.cells)
    last = notebook.cells[-1]
    assert re.fullmatch(r"\d+ s on 1 thread\n", last.outputs[0].text)


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["point_cloud", "resnet", "vit"]
