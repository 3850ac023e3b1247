"""All commands under one name."""

import typer

from ctmar.cli import (
    bundles,
    compare,
    configuration,
    estimate,
    evaluation,
    models,
    prediction,
    preparation,
    recover,
    report,
    runs,
    simulation,
    tracking,
    watch,
)
from ctmar.cli.explain import ExplainingCommand

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="CT with metal: data, simulation, training, evaluation and report of the equiproj study.",
)
for room in (
    preparation,
    simulation,
    models,
    runs,
    watch,
    evaluation,
    prediction,
    report,
    compare,
    bundles,
    tracking,
    configuration,
    estimate,
    recover,
):
    for command in room.COMMANDS:
        app.command(cls=ExplainingCommand)(command)
