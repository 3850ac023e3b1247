"""Writes the folders of the runs, one a line."""

from pathlib import Path

output = Path(snakemake.output[0])
text = "".join(f"{output.parent / 'runs' / run}\n" for run in snakemake.params.runs)
output.write_text(text, encoding="utf-8")
