"""Writes the folders of the input files, one a line."""

from pathlib import Path

folders = [str(Path(file).parent) for file in snakemake.input]
Path(snakemake.output[0]).write_text("".join(f"{folder}\n" for folder in folders), encoding="utf-8")
