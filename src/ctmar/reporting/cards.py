"""The model card and the dataset card: Markdown from the same tables as the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctmar.config import Config
from ctmar.reporting.choice import chosen_settings
from ctmar.reporting.data_section import QUALITY_COLUMNS, quarantine_summary, readable
from ctmar.reporting.diverged_runs import diverged_runs, methods_of_all_runs, n_parameters
from ctmar.reporting.environment import environment
from ctmar.reporting.literature import ARCHITECTURES, REFERENCES
from ctmar.reporting.model_tables import MAIN
from ctmar.reporting.report_origin import provenance
from ctmar.reporting.required_columns import IDENTITY, measured
from ctmar.reporting.shown_tables import Measure, measure_cell
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.summary import counts, model_name
from ctmar.store.atomic import atomic_path

_CARD = [measure for measure in MAIN if measure.name != "ratio_to_plain"]


def write_model_card(results: StudyTables, config: Config, output: Path) -> Path:
    """Write what the models are, what they are for, and how well they do.

    Args:
        results: the study.
        config: the study's configuration as it was run.
        output: the Markdown file.
    """
    measures = [measure for measure in _CARD if measured(results.models, measure.name)]
    return _write(
        "model_card.md",
        output,
        config=config,
        n=counts(results),
        n_parameters=n_parameters(results),
        diverged=diverged_runs(results),
        methods=methods_of_all_runs(results),
        measures=measures,
        rows=[
            row
            for network in dict.fromkeys(results.models["network"])
            for row in _chosen_rows(results, network, measures)
        ],
        architectures=ARCHITECTURES,
        provenance=provenance(results),
        references={reference.key: reference for reference in REFERENCES},
    )


def write_dataset_card(results: StudyTables, config: Config, output: Path) -> Path:
    """Write where the CT comes from, under which licence, and what was left out.

    Args:
        results: the study.
        config: the study's configuration as it was run.
        output: the Markdown file.
    """
    quality = {name: title for name, title in QUALITY_COLUMNS.items() if name in results.catalogue}
    return _write(
        "dataset_card.md",
        output,
        config=config,
        n=counts(results),
        sources=results.sources,
        catalogue=readable(results.catalogue, list(quality)),
        quality=quality,
        subset_of=results.split.groupby("patient")["subset"]
        .agg(lambda subsets: ", ".join(dict.fromkeys(subsets)))
        .to_dict(),
        quarantine_reasons=quarantine_summary(results.quarantine),
    )


def _chosen_rows(results: StudyTables, network: str, measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """One row for each method and norm: the setting that validation prefers."""
    by_identity = {tuple(row[key] for key in IDENTITY): row for row in rows_of(results.models)}
    rows = []
    for identity in chosen_settings(results.models, network):
        row = by_identity[identity]
        cells = [measure_cell(row, measure) for measure in measures]
        rows.append({"network": network, "label": model_name(row), "cells": cells})
    return rows


def _write(template: str, output: Path, **context: Any) -> Path:
    text = environment().get_template(template).render(**context)
    with atomic_path(output) as temporary:
        temporary.write_text(text.strip() + "\n", encoding="utf-8")
    return output
