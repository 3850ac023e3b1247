"""What the hooks of the documentation site refuse: pages that would show something stale, broken or nothing."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "docs" / "hooks"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names of a hook, run as mkdocs runs it: its neighbours are modules."""
    monkeypatch.syspath_prepend(HOOKS)
    return lambda name: SimpleNamespace(**runpy.run_path(str(HOOKS / f"{name}.py")))


def code(outputs: list[dict[str, Any]], execution_count: int | None = 1) -> dict[str, Any]:
    return {"cell_type": "code", "source": ["2 + 2"], "execution_count": execution_count, "outputs": outputs}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code([], None), "expected cells that have been run, found one that has not"),
        (code([{"output_type": "error", "ename": "ZeroDivisionError"}]), "cells that ran, found ZeroDivisionError"),
        (
            code([{"output_type": "display_data", "data": {"text/html": "<b>4</b>", "image/svg+xml": "<svg/>"}}]),
            r"expected text or a picture as PNG, found image/svg\+xml, text/html",
        ),
    ],
    ids=["not run", "failed", "of another kind"],
)
def test_a_notebook_is_refused_by_name(hook: Any, cell: dict[str, Any], message: str) -> None:
    title = {"cell_type": "markdown", "source": ["# Sums\n", "Of numbers."]}
    with pytest.raises(ValueError, match=rf"notebooks/sums\.ipynb: .*{message}"):
        hook("notebooks").as_markdown({"cells": [title, cell]}, "sums")
    text, pictures = hook("notebooks").as_markdown(
        {"cells": [title, code([{"output_type": "stream", "text": "4\n"}])]}, "sums"
    )
    assert text.startswith("# Sums\n\nOf numbers.\n")
    assert text.endswith("```python\n2 + 2\n```\n\n```text\n4\n```\n")
    assert pictures == {}


def test_a_link_to_nowhere_is_refused(hook: Any, tmp_path: Path) -> None:
    rewrite = hook("included_pages").rewrite_links
    with pytest.raises(ValueError, match=r"README\.md: expected a link to a file of the repository, found docs/gone"):
        rewrite("see [this](docs/gone.md)", "README.md", "index.md", tmp_path)
    (tmp_path / "Makefile").touch()
    with pytest.raises(ValueError, match=r"Makefile is linked from a page of the site but is not on it"):
        rewrite("see [this](Makefile)", "README.md", "index.md", tmp_path)
    kept = "see [this](https://example.org)\n```\n[no link](docs/gone.md)\n```"
    assert rewrite(kept, "README.md", "index.md", tmp_path) == kept


def test_an_architecture_page_without_its_places_is_refused(hook: Any) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="architecture.md"))
    config = SimpleNamespace(config_file_path=str(HOOKS.parents[1] / "mkdocs.yml"))
    with pytest.raises(ValueError, match=r"architecture\.md: expected the line <!-- rooms: picture -->"):
        hook("architecture_page").on_page_markdown("# Architecture", page, config, None)


def test_a_formula_without_mathml_is_refused(hook: Any) -> None:
    with pytest.raises(ValueError, match=r"no MathML for \\unheardof\{x\}"):
        hook("mathematics").to_mathml(r"\unheardof{x}", "inline")
