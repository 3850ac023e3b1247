"""The report of the synthetic study, built once and opened in headless Chromium without network."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ctmar.reporting.page import build_report
from ctmar.reporting.study_files import read_results

TESTS = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    """A file of the tests as a module; test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"for_browser_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHROMIUM = load(TESTS / "browser" / "chromium.py")
STUDY = load(TESTS / "ctmar" / "reporting" / "conftest.py")


@pytest.fixture(scope="session")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    config = STUDY.study_config()
    return build_report(read_results(STUDY.write_study(folder), config), config, folder / "index.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    executable = CHROMIUM.find_chromium()
    if executable is None:
        pytest.skip("no Chromium found on PATH (chromium, chromium-browser, google-chrome)")
    with CHROMIUM.Browser(executable) as opened:
        yield opened
