"""Commands about networks."""

import json
from typing import Annotated, Any

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """List every network with its settings, its named variants and their numbers of parameters."""
    from ctmar.models.variants import describe_networks

    networks = describe_networks()
    if as_json:
        typer.echo(json.dumps(networks, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console()
    for network in networks:
        console.print(_table(network), "")


def _table(network: dict[str, Any]) -> Any:
    from rich.table import Table

    settings = ", ".join(f"{key}={json.dumps(value)}" for key, value in network["settings"].items())
    table = Table(title=f"{network['name']}: {network['description'].rstrip('.')}", caption=f"defaults: {settings}")
    table.title_justify = table.caption_justify = "left"
    table.add_column("variant", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("settings that differ", ratio=2)
    table.add_column("what it is", ratio=3)
    default = {"name": "default", "n_parameters": network["n_parameters"], "settings": {}, "description": ""}
    for variant in network["variants"] or [default]:
        differing = ", ".join(f"{key}={json.dumps(value)}" for key, value in variant["settings"].items())
        table.add_row(variant["name"], f"{variant['n_parameters']:,}", differing, variant["description"])
    return table


COMMANDS = (models,)
