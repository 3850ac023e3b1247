"""The text that lies at the top of a bundle."""

from collections.abc import Sequence

from ctmar.bundles.study_provenance import StudyProvenance
from ctmar.config import Config

_TEXT = """# {title}

The study `{name}` as equiproj {version} ran it ({commit}): {n_runs} trained networks.
**Research software: not a medical device, not for diagnosis or treatment.**

| | |
|---|---|
| `config.yaml` | the whole configuration, defaults filled in |
| `report/` | what came out, for reading |
| `results/summary/` | tables and verdicts; `results/runs/` weights, settings and every measured slice of each network |
| `provenance.json` | code, configuration, environment, machine, checksums of results and data |
| `environment.txt`, `code/envs/` | versions that it ran with; locks |
| `code/` | the code and the workflow; `inputs/` what else the study was given |
| `checksums.sha256` | of all files here: `sha256sum --check checksums.sha256` |
| `ro-crate-metadata.json` | the same for machines (RO-Crate) |

## Run it again

```
python3 -m venv .venv && . .venv/bin/activate
pip install -r environment.txt && pip install ./code
snakemake --snakefile code/workflow/Snakefile --cores all --configfile config.yaml
ctmar reproduce . --against results/{name}
```

The last line says what differs, and by how much: with other kernels, as another processor has them, weights differ in
their last digits and a training is another one, as with another seed. `ctmar reproduce .` alone checks the files and
makes the summary again from the runs, without training.{code}{left_out}{patients}
"""
_CODE = " Running the study runs the code in `inputs/`: read it first."
_LEFT_OUT = """

## What stayed with its owner

{keys}: put your own paths in their place. Checksums of what they were are in `provenance.json`
(`data`) and in the `run.json` of each network."""
_PATIENTS = """

## Patients

The CT is not public. No image of it is here{but}; patients and series are numbered, and no number leads to
a pseudonym without the study itself."""


def readme(record: StudyProvenance, config: Config, left_out: Sequence[str], hides_patients: bool) -> str:
    """What the bundle holds, how to run it again, and what is not in it."""
    return _TEXT.format(
        title=" ".join(config.report.title.split()),
        name=record.study,
        version=record.code.version,
        commit=f"commit {record.code.commit}" if record.code.commit else "not from a git working tree",
        n_runs=record.runs.n_runs,
        code=_CODE if record.configuration.extensions else "",
        left_out=_LEFT_OUT.format(keys=", ".join(f"`{key}`" for key in left_out)) if left_out else "",
        patients=_PATIENTS.format(but=", unless in the report") if hides_patients else "",
    )
