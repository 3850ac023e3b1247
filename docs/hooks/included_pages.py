"""Pages that live elsewhere in the repository: shown on the site from where they are, links rewritten."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "config/README.md": "configuration.md",
    "envs/README.md": "environments.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "reports/example/model_card.md": "example/model_card.md",
    "reports/example/dataset_card.md": "example/dataset_card.md",
}
FILES = {"CITATION.cff": "CITATION.cff", "reports/example/report.webp": "example/report.webp"}
FOLDERS = {"reports/example": "example.md"}  # what a link to a folder opens
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files."""
    repository = Path(config.config_file_path).parent
    for source, page in PAGES.items():
        text = (repository / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=rewrite_links(text, source, page, repository)))
    for source, target in FILES.items():
        files.append(File.generated(config, target, abs_src_path=str(repository / source)))
    return files


def rewrite_links(text: str, source: str, page: str, repository: Path) -> str:
    """Point the relative links of ``source`` at pages of the site; code blocks are left alone.

    Raises:
        ValueError: a link names no file of the repository.
    """

    def replace(found: re.Match[str]) -> str:
        before, link, after = found.groups()
        if "://" in link or link.startswith("mailto:"):
            return found.group()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if not (repository / target).exists():
            raise ValueError(f"{source}: expected a link to a file of the repository, found {link}")
        return before + posixpath.relpath(place_of(target), posixpath.dirname(page) or ".") + after

    fences = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(replace, part) for part in fences)


def place_of(target: str) -> str:
    """Where a file of the repository is on the site.

    Raises:
        ValueError: it is not there.
    """
    for table in (PAGES, FILES, FOLDERS):
        if target in table:
            return table[target]
    if target.startswith("docs/notebooks/"):  # a page by notebooks.py
        return f"notebooks/{Path(target).stem}.md"
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    raise ValueError(f"{target} is linked from a page of the site but is not on it: add it to {Path(__file__).name}")
