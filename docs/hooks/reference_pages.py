"""One page of reference for each room of `equiproj` and `ctmar`, from the docstrings."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# `:func:` and the like, as docstrings name other objects; mkdocs-autorefs turns them into links
ROLE = re.compile(r":(?:func|class|mod|meth|attr|data|exc):<code>~?([\w.]+)</code>")
EQUATION = re.compile(r"\b(equations? )(\d+\.\d+)|(?<=, )(\d+\.\d+)(?= and \d)")


def rooms(source: Path, package: str) -> list[str]:
    """Names of the rooms of a package: its sub-packages and its modules, in the alphabet."""
    paths = [p for p in (source / package).iterdir() if (p / "__init__.py").is_file() or p.suffix == ".py"]
    return sorted(path.stem for path in paths if not path.stem.startswith("_"))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation."""
    source = Path(config.config_file_path).parent / "src"
    sections = []
    for package in ("equiproj", "ctmar"):
        pages = [{name: f"reference/{package}/{name}.md"} for name in rooms(source, package)]
        sections.append({package: [{package: f"reference/{package}/index.md"}, *pages]})
    for entry in config.nav or []:
        if "Reference" in entry:
            entry["Reference"] = sections
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the pages."""
    source = Path(config.config_file_path).parent / "src"
    for package in ("equiproj", "ctmar"):
        names = rooms(source, package)
        links = "\n".join(f"* [`{package}.{name}`]({name}.md)" for name in names)
        text = f"# {package}\n\n{block(package)}\n## Rooms\n\n{links}\n"
        files.append(File.generated(config, f"reference/{package}/index.md", content=text))
        for name in names:
            text = library_page(name) if package == "equiproj" else study_page(source, name)
            files.append(File.generated(config, f"reference/{package}/{name}.md", content=text))
    return files


def block(name: str, **options: object) -> str:
    """What mkdocstrings turns into the documentation of an object."""
    lines = "".join(f"      {key}: {value}\n" for key, value in options.items())
    return f"::: {name}\n" + (f"    options:\n{lines}" if lines else "")


def library_page(room: str) -> str:
    """A room of the library by its public names, wherever their modules are."""
    return f"# equiproj.{room}\n\n{block(f'equiproj.{room}')}"


def study_page(source: Path, room: str) -> str:
    """A room of the study, module by module."""
    if room == "cli":
        return f"# ctmar.cli\n\n{block('ctmar.cli')}\n\nThe commands are on [a page of their own](../../commands.md)."
    folder = source / "ctmar" / room
    if not folder.is_dir():
        return f"# ctmar.{room}\n\n{block(f'ctmar.{room}')}"
    parts = [f"# ctmar.{room}", block(f"ctmar.{room}", members="false")]
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).with_suffix("").parts):
        names = path.relative_to(source).with_suffix("").parts
        module = ".".join(names[:-1] if names[-1] == "__init__" else names)
        if module != f"ctmar.{room}":
            parts.append(f"## {module.removeprefix('ctmar.')}\n\n{block(module, heading_level=3)}")
    return "\n\n".join(parts)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links of the objects and equations that docstrings name."""
    if not page.file.src_uri.startswith("reference/"):
        return html
    html = ROLE.sub(r'<autoref identifier="\1" optional><code>\1</code></autoref>', html)
    if page.file.src_uri.startswith("reference/equiproj/"):
        html = EQUATION.sub(_link, html)
    return html


def _link(found: re.Match[str]) -> str:
    number = found.group(2) or found.group(3)
    return f'{found.group(1) or ""}<a href="../../derivation.html#eq-{number}">{number}</a>'
