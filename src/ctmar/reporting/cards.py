"""The model card and the dataset card: Markdown from the same tables as the report."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from ctmar.config import SOURCE_KINDS, Config
from ctmar.reporting.card_facts import balance_sentences, checkpoints, compute_sentences, version_and_date
from ctmar.reporting.choice import Identity, chosen_settings
from ctmar.reporting.counted import counted
from ctmar.reporting.data_section import QUALITY_COLUMNS, quarantine_summary, readable
from ctmar.reporting.diverged_runs import diverged_runs, methods_of_all_runs, n_parameters
from ctmar.reporting.environment import environment
from ctmar.reporting.front_matter import dataset_front_matter, model_front_matter
from ctmar.reporting.licences import conditions_in_words, restricted_sources, weights_licence
from ctmar.reporting.literature import ARCHITECTURES, REFERENCES
from ctmar.reporting.model_tables import MAIN, group_table
from ctmar.reporting.page import series_marks
from ctmar.reporting.paper.bibliography import reference_entry, software_entry
from ctmar.reporting.report_origin import provenance
from ctmar.reporting.required_columns import IDENTITY, measured
from ctmar.reporting.shown_tables import Context, Table, measure_cell
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.summary import counts, model_name, patients_in_words
from ctmar.reporting.wording import from_to
from ctmar.store.atomic import atomic_path
from ctmar.store.checkout import Checkout
from ctmar.store.citation import software_citation
from ctmar.store.run_folder import RunFolder

_CARD = [measure for measure in MAIN if measure.name != "ratio_to_plain"]
_SNIPPET = """
from pathlib import Path

import numpy as np
import torch

from ctmar.models.predictor import predictor_of
from ctmar.models.scaling import network_input, to_per_cm
from ctmar.models.symmetry import study_group
from ctmar.models.trained_network import load_network
from ctmar.store.run_folder import RunFolder

folder = RunFolder(Path("{folder}"))
run = folder.read_description()
network = predictor_of(load_network(folder, run), run.run.method, study_group(run.group))
# one image: with artefacts and after linear interpolation [1/cm, water 0.192], and 1 where there is metal
corrupted = interpolated = np.full((1, {size}, {size}), 0.192, np.float32)
metal = np.zeros((1, {size}, {size}), np.uint8)
with torch.inference_mode():
    corrected = to_per_cm(network(network_input(corrupted, interpolated, metal)))  # [1/cm], the same shape
"""


def write_model_card(results: StudyTables, config: Config, output: Path) -> Path:
    """Write what the models are, what they are for, and how well they do.

    Args:
        results: the study.
        config: the study's configuration as it was run.
        output: the Markdown file.
    """
    measures = [measure for measure in _CARD if measured(results.models, measure.name)]
    networks = list(dict.fromkeys(results.models["network"]))
    chosen = [row for network in networks for row in _chosen(results, network)]
    return _write(
        "model_card.md",
        output,
        front_matter=model_front_matter(results, config, chosen),
        version=version_and_date(results),
        seeds=from_to(results.models["n_seeds"], "seed"),
        snippet=Markup(loading_snippet(results, config)),
        subgroups=[table for network in networks for table in _subgroups(results, network)],
        compute=compute_sentences(results),
        checkpoints=checkpoints(results, [_identity(row) for row in chosen]),
        bibtex=Markup(card_bibliography()),
        licence=weights_licence(results, config),
        restricted=restricted_sources(results),
        config=config,
        n=counts(results),
        patients={name: patients_in_words(results.split, name) for name in ("train", "validation")},
        counted=counted(results.models, "psnr_db", config.evaluation.defect_slices),
        uneven=results.models["n_seeds"].nunique() > 1,
        n_parameters=n_parameters(results),
        diverged=diverged_runs(results),
        methods=methods_of_all_runs(results),
        measures=measures,
        rows=[
            {
                "network": row["network"],
                "label": model_name(row),
                "cells": [measure_cell(row, measure) for measure in measures],
            }
            for row in chosen
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
        front_matter=dataset_front_matter(results, config),
        version=version_and_date(results),
        n_folds=results.split["fold"].nunique(),
        balance=balance_sentences(results, config),
        restricted=restricted_sources(results),
        meaning=conditions_in_words,
        config=config,
        n=counts(results),
        sources=results.sources,
        source_meaning=SOURCE_KINDS[config.source.kind].meaning,
        catalogue=readable(results.catalogue, list(quality)),
        quality=quality,
        subset_of=results.split.groupby("patient")["subset"]
        .agg(lambda subsets: ", ".join(dict.fromkeys(subsets)))
        .to_dict(),
        quarantine_reasons=quarantine_summary(results.quarantine),
    )


def loading_snippet(results: StudyTables, config: Config) -> str:
    """Python that loads the first model of the card and corrects an image; a test runs it."""
    if not results.records:
        return "# every run of this study diverged: there is no model to load"
    run = results.records[0].description.run
    folder = RunFolder.of(Path("results", config.study.name, "runs"), run)
    return _SNIPPET.format(folder=folder.path.as_posix(), size=config.ingest.image_size).strip()


def card_bibliography() -> str:
    """The paper and this software."""
    paper = next(reference for reference in REFERENCES if reference.key == "berndt2026")
    return "\n".join([reference_entry(paper), software_entry(software_citation(), Checkout().commit)]).strip()


def _chosen(results: StudyTables, network: str) -> list[dict[str, Any]]:
    """For each method and norm the row of the setting that validation prefers."""
    by_identity = {_identity(row): row for row in rows_of(results.models)}
    return [by_identity[identity] for identity in chosen_settings(results.models, network)]


def _subgroups(results: StudyTables, network: str) -> list[tuple[str, Table]]:
    """PSNR by size and by material of the metal, where there are several."""
    own = results.models[results.models["network"] == network]
    chosen = chosen_settings(results.models, network)
    context = Context(network, series_marks(results), chosen)
    return [
        (title, group_table(groups, column, own, context, chosen, measure="psnr_db"))
        for title, groups, column in (
            (f"Network {network}, by size of the metal", results.sizes, "metal_size"),
            (f"Network {network}, by material of the metal", results.materials, "metal"),
        )
        if groups[column].nunique() > 1
    ]


def _identity(row: dict[str, Any]) -> Identity:
    return tuple(row[key] for key in IDENTITY)


def _write(template: str, output: Path, **context: Any) -> Path:
    text = environment().get_template(template).render(**context)
    with atomic_path(output) as temporary:
        temporary.write_text(text.strip() + "\n", encoding="utf-8")
    return output
