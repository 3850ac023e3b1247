"""Writes the folders of the runs, one a line."""

from pathlib import Path

text = "".join(f"{folder}\n" for folder in snakemake.params.folders)
Path(snakemake.output[0]).write_text(text, encoding="utf-8")
