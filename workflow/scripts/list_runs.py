"""Writes the folders of the runs, one a line, and the checksums of all their files, job by job."""

from pathlib import Path

runs = Path(snakemake.output.folders).parent / "runs"
Path(snakemake.output.folders).write_text("".join(f"{runs / run}\n" for run in snakemake.params.runs), encoding="utf-8")
with Path(snakemake.output.finished).open("w", encoding="utf-8") as finished:
    for job in snakemake.input:
        finished.write(Path(job).read_text(encoding="utf-8"))
