"""Commands that publish a study: its provenance, a bundle of it, and a re-run beside a bundle."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Output


def checksums(
    folders: Annotated[list[Path], typer.Argument(help="Folders whose HDF5 files are listed.")], output: Output
) -> None:
    """List the slices and pairs of a study with their SHA-256, by their names below what holds all the folders."""
    from ctmar.store.provenance import write_checksums

    files = sorted({path for folder in folders for path in folder.glob("*.h5")})
    write_checksums(output, Path(os.path.commonpath(folders)), files)


def provenance(
    results: Annotated[Path, typer.Argument(help="Folder of a finished study's results.")],
    config: Annotated[Path, typer.Option(help="The study's configuration, defaults filled in (YAML).")],
    reports: Annotated[Path, typer.Option(help="Folder of its report.")],
    output: Output,
    inputs: Annotated[Path, typer.Option(help="Folder for copies of what the study was given.")],
    given: Annotated[
        list[Path] | None,
        typer.Option(help="File that a re-run needs: the list of sources, a manifest, code of your own. Repeat it."),
    ] = None,
) -> None:
    """Write where a study came from: code, configuration, environment, machine, checksums; keep what it was given."""
    from ctmar.bundles.study_provenance import describe_study, write_study_provenance
    from ctmar.config import load_config

    inputs.mkdir(parents=True, exist_ok=True)
    kept = [Path(shutil.copy(path, inputs / path.name)) for path in given or ()]
    own_code = [path for path in kept if path.suffix == ".py"]
    write_study_provenance(describe_study(results, load_config(config), reports, own_code), output)


COMMANDS = (checksums, provenance)
