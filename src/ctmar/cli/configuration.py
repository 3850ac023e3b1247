"""Commands about the configuration itself."""

import json
from pathlib import Path
from typing import Annotated

import typer


def validate(config: Annotated[Path, typer.Argument(help="Configuration of a study (YAML).")]) -> None:
    """Check a configuration and print how many training runs it asks for."""
    from ctmar.config import load_config

    found = load_config(config)
    n_runs = len(found.study.expand())
    if found.brings_code:
        from ctmar.training.own_code_check import check_own_code

        check_own_code(found)
    typer.echo(f"{config}: valid, {n_runs} training runs")


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The tables of config/README.md instead.")] = False,
    site: Annotated[bool, typer.Option("--site", help="The schema of workflow/profiles/site.yaml instead.")] = False,
) -> None:
    """Print the JSON schema of a configuration, for editors."""
    from ctmar.config import Config, Site, markdown_reference

    described = (Site if site else Config).model_json_schema()
    typer.echo(markdown_reference() if markdown else json.dumps(described, indent=2), nl=not markdown)


COMMANDS = (validate, schema)
