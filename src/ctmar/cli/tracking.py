"""Commands that mirror a study to MLflow; neither can fail a study."""

from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Output, RunFolders, Settings, listed


def track_initialise(
    output: Output,
    study: Annotated[str, typer.Option(help="The `study` section, kept with the parent run.")],
    settings: Settings = "{}",
) -> None:
    """Create the MLflow database, the experiment and the study's parent run."""
    from ctmar.config import Study, Tracking, parse_settings
    from ctmar.tracking.mirror import initialise

    initialise(output, parse_settings(Tracking, settings), parse_settings(Study, study))


def track_synchronise(
    runs: RunFolders,
    parent: Annotated[Path, typer.Option(help="File made by `ctmar track-initialise`.")],
    output: Output,
    report: Annotated[str, typer.Option(help="The `report` section: the CT window of the images.")] = "{}",
) -> None:
    """Mirror finished runs to MLflow; a run that is there already is not written again."""
    from ctmar.config import Report, parse_settings
    from ctmar.tracking.mirror import synchronise

    synchronise(parent, listed(runs), output, parse_settings(Report, report))


COMMANDS = (track_initialise, track_synchronise)
