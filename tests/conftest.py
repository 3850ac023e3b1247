"""Fixtures for every room."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

# Shapes written in signatures are checked while tests run (and only then).
if os.environ.get("EQUIPROJ_SKIP_TYPE_HOOK") is None:
    from jaxtyping import install_import_hook

    install_import_hook(["equiproj"], "beartype.beartype")


def _settings_of_the_tests() -> Path:
    """A user's folder of settings with a known salt: tests leave the real one alone, and know their pseudonyms."""
    folder = Path(tempfile.mkdtemp(prefix="equiproj-settings-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "equiproj").mkdir()
    (folder / "equiproj" / "salt").write_text("equiproj\n")
    return folder


os.environ["XDG_CONFIG_HOME"] = str(_settings_of_the_tests())

SLOW = ("workflow", "slow", "browser")
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector: all modules and thousands of tests are kept, and it would search them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real CT for development; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("EQUIPROJ_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"development data not found at {folder}; set EQUIPROJ_SHARED to the folder that holds data/")
    return folder


@pytest.hookimpl(trylast=True)  # the rooms have set their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that run Snakemake first, then slow ones: of files dealt to workers a long one must not be last."""
    places: dict[Path, int] = {}
    for item in items:
        place = next((number for number, mark in enumerate(SLOW) if item.get_closest_marker(mark)), len(SLOW))
        places[item.path] = min(place, places.get(item.path, place))
    items.sort(key=lambda item: places[item.path])
