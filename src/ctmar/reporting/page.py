"""The report: everything read, prepared and laid out as one HTML file that needs no network."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctmar.config import Config
from ctmar.errors import InputError
from ctmar.reporting import charts, labels, tables
from ctmar.reporting.environment import asset, environment, vega_bundle
from ctmar.reporting.examples import Example, build_examples, choose_models
from ctmar.reporting.literature import REFERENCES
from ctmar.reporting.provenance import provenance, public_config
from ctmar.reporting.results import IDENTITY, ReportInputs, StudyResults, read_results, rows_of, text_rows
from ctmar.reporting.summary import counts, facts, sentences
from ctmar.store.atomic import atomic_path

MAXIMUM_BYTES = 15_000_000
MAXIMUM_IMAGE_BYTES = 11_000_000  # leaves room for the Vega bundle (0.9 MB), specifications and tables
QUARANTINE_ROWS = 200
MAXIMUM_EPOCHS = 60  # drawn of each curve; a long training would fill the page with points


SECTIONS = (
    ("summary", "Summary"),
    ("results", "Methods and norms"),
    ("response", "Effect of λ⊥"),
    ("images", "Images"),
    ("curves", "Learning curves"),
    ("cost", "Cost"),
    ("claims", "The paper’s claims"),
    ("data", "Data"),
    ("methods", "Methods"),
    ("reading", "How to read"),
    ("provenance", "Provenance"),
)


@dataclass(frozen=True)
class NetworkPage:
    """Everything the page shows of one network."""

    name: str
    sentences: list[str]
    table: tables.ResultTable
    legend: list[tuple[str, labels.Mark]]
    response_legend: list[tuple[str, labels.Mark]]
    curve_legend: list[tuple[str, labels.Mark]]
    responses: list[tuple[str, charts.Spec]]
    trade_off: charts.Spec
    curves: list[tuple[str, charts.Spec]]
    cost: charts.Spec
    cost_rows: list[tables.Row]
    cost_download: str
    cost_conditions: dict[str, Any]
    examples: list[Example]
    n_examples_left_out: int


def build_report(inputs: ReportInputs, config: Config, output: Path) -> Path:
    """Write the report as one offline HTML file.

    Args:
        inputs: where the files of the study lie.
        config: the study's configuration as it was run.
        output: the HTML file.

    Raises:
        InputError: a file is missing or malformed, or the page would exceed 15 MB.
    """
    results = read_results(inputs)
    html = render_page(results, config)
    n_bytes = len(html.encode("utf-8"))
    if n_bytes > MAXIMUM_BYTES:
        raise InputError(
            f"{output}: expected a page below {MAXIMUM_BYTES:,} bytes, found {n_bytes:,}; fewer networks help"
        )
    with atomic_path(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return output


def render_page(results: StudyResults, config: Config) -> str:
    """The whole page as text."""
    networks = list(dict.fromkeys(results.models["network"]))
    marks = series_marks(results)
    image_bytes = MAXIMUM_IMAGE_BYTES // len(networks)
    template = environment().get_template("page.html")
    return template.render(
        config=config,
        sections=SECTIONS,
        measures=tables.MEASURES,
        n_parameters={record.identity[0]: f"{record.run['n_parameters']:,}" for record in results.records},
        facts=facts(results),
        counts=counts(results),
        networks=[network_page(results, config, name, marks, image_bytes) for name in networks],
        claims=results.claims,
        sources=results.sources,
        split=rows_of(results.split),
        catalogue=text_rows(results.catalogue),
        quarantine=text_rows(results.quarantine.head(QUARANTINE_ROWS)),
        quarantine_reasons=tables.quarantine_summary(results.quarantine),
        n_quarantined=len(results.quarantine),
        references=REFERENCES,
        provenance=provenance(results),
        config_text=public_config(config),
        style=asset("report.css"),
        script=asset("report.js"),
        bundle=vega_bundle(),
    )


def series_marks(results: StudyResults) -> dict[str, labels.Mark]:
    """One mark for each series of the study, the same in every chart and table."""
    rows = rows_of(results.models)
    return labels.assign_marks(
        [labels.series_label(row["method"], row["norm"], row["lam_equi"]) for row in rows]
        + [labels.series_label(row["method"], row["norm"]) for row in rows_of(results.cost)]
    )


def network_page(
    results: StudyResults, config: Config, network: str, marks: dict[str, labels.Mark], image_bytes: int
) -> NetworkPage:
    """Tables, chart specifications and images of one network."""
    models = charts.prepare_models(results.models[results.models["network"] == network], marks)
    curves, curve_legend = prepare_curves(results, network, marks)
    cost = results.cost[results.cost["network"] == network]
    examples = build_examples(results, network, config.report, image_bytes)
    response = partial(charts.response_chart, models)
    return NetworkPage(
        name=network,
        sentences=sentences(results, network),
        table=tables.result_table(results.models, results.references, results.cost, marks, network),
        legend=tables.legend_entries(models, marks),
        response_legend=tables.legend_entries(models[models["method"].isin(["plain", "projection"])], marks),
        curve_legend=curve_legend,
        responses=[
            ("Paired difference to plain", response("psnr_diff_db", "PSNR difference [dB]")),
            ("Peak signal-to-noise ratio", response("psnr_db", "PSNR [dB]")),
            ("Structural similarity", response("ssim", "SSIM")),
            ("Error outside the metal", response("rmse_hu", "RMSE [HU]")),
            (
                "Non-equivariance of the weights",
                response("relative_non_equivariance", "‖W−PW‖ / ‖W‖", logarithmic=True),
            ),
            ("Defect on turned test slices", response("defect", "measured defect", logarithmic=True)),
        ],
        trade_off=charts.trade_off_chart(models, "psnr_diff_db", "PSNR difference to plain [dB]"),
        curves=[
            ("Validation PSNR", charts.curve_chart(curves, "validation_psnr", "validation PSNR [dB]")),
            ("Task loss", charts.curve_chart(curves, "task_loss", "training task loss", logarithmic=True)),
        ],
        cost=charts.cost_chart(cost, marks),
        cost_rows=tables.cost_rows(cost, marks),
        cost_download=tables.download_address(cost),
        cost_conditions=rows_of(cost)[0],
        examples=examples.shown,
        n_examples_left_out=examples.n_left_out,
    )


def prepare_curves(
    results: StudyResults, network: str, marks: dict[str, labels.Mark]
) -> tuple[pd.DataFrame, list[tuple[str, labels.Mark]]]:
    """Learning curves of one network with labels and marks; the models of the image comparison are highlighted."""
    curves = results.curves[results.curves["network"] == network]
    epochs = np.unique(curves["epoch"])
    shown = epochs[np.unique(np.linspace(0, len(epochs) - 1, MAXIMUM_EPOCHS).round().astype(int))]
    curves = charts.prepare_models(curves[curves["epoch"].isin(shown)], marks)
    chosen = choose_models(results.curves, network)
    curves["highlighted"] = [tuple(key) in chosen for key in curves[IDENTITY].itertuples(index=False, name=None)]
    bright = curves[curves["highlighted"]].drop_duplicates("label")
    return curves, [(row["label"], marks[row["series"]]) for row in rows_of(bright)]
