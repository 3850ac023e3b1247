"""Every file of docs/tutorials is in the navigation, under its own heading."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the section of tutorials: from researcher to user of a cluster, as it happens against the alphabet."""
    pages = sorted((Path(config.docs_dir) / "tutorials").glob("*.md"), reverse=True)
    for entry in config.nav or []:
        if "Tutorials" in entry:
            entry["Tutorials"] = [f"tutorials/{page.name}" for page in pages]
    return config
