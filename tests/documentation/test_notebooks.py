"""The notebooks run, what they assert holds, and what is stored in them is what comes out."""

import base64
import re
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
MOST_SECONDS, MOST_BYTES = 60, 60_000  # of a notebook on one core, and of a figure


def outputs_by_cell(notebook: nbformat.NotebookNode) -> list[tuple[set[str], str]]:
    """Tags and text of each cell of code, without its pictures."""
    return [
        (set(cell.metadata.get("tags", [])), "".join(map(text_of, cell.outputs)))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def text_of(output: nbformat.NotebookNode) -> str:
    """What it printed or returned."""
    return str(output.get("text", "") or output.get("data", {}).get("text/plain", ""))


def numbers(text: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in NUMBER.findall(text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_comes_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    run = NotebookClient(nbformat.read(path, as_version=4), timeout=300, resources={"metadata": {"path": str(FOLDER)}})
    found = outputs_by_cell(run.execute())
    with capsys.disabled():
        print(f"\n{path.name}: {time.perf_counter() - started:.0f} s, the start of its kernel included")
    for (tags, text), (_, expected) in zip(found, outputs_by_cell(stored), strict=True):
        assert NUMBER.sub("#", text).split() == NUMBER.sub("#", expected).split()
        if not tags & {"trained", "time"}:  # a training elsewhere rounds otherwise; the cells assert what is said of it
            assert numbers(text) == pytest.approx(numbers(expected), rel=1e-3, abs=1e-9), expected


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_small_and_without_warnings(path: Path) -> None:
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.get("name") == "stderr" or output.output_type == "error"] == []
    pictures = [base64.b64decode(each.data["image/png"]) for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == 1
    assert len(pictures[0]) <= MOST_BYTES
    took = re.fullmatch(r"(\d+) s on 1 thread, imports included\n", outputs[-1].text)
    assert took is not None
    assert int(took.group(1)) <= MOST_SECONDS


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["point_cloud", "resnet", "vit"]
