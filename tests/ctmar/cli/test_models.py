"""`ctmar models`."""

import json

from typer.testing import CliRunner

from ctmar.cli.app import app


def test_json_lists_networks_with_settings_variants_and_counts():
    result = CliRunner().invoke(app, ["models", "--json"])
    assert result.exit_code == 0
    networks = {network["name"]: network for network in json.loads(result.stdout)}
    assert set(networks) == {"dncnn", "unet", "acdnet", "dicdnet", "oscnet", "oscnetplus"}
    assert networks["acdnet"]["n_parameters"] == 1602809
    assert networks["acdnet"]["settings"]["n_extra_channels"] == 32
    variants = {variant["name"]: variant["n_parameters"] for variant in networks["acdnet"]["variants"]}
    assert (variants["eqreg_baseline"], variants["eqreg"]) == (3107897, 4169814)


def test_tables_fit_a_terminal_of_100_columns():
    result = CliRunner().invoke(app, ["models"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert "1,602,809" in result.stdout
    assert "n_extra_channels=35" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 100
