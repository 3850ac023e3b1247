"""What the Hugging Face hub reads at the head of a card: YAML between two lines of dashes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from markupsafe import Markup

from ctmar.config import SUBSETS, Config
from ctmar.reporting.licences import OTHER, data_licences, weights_licence
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.summary import counts, model_name

LIBRARY = "equiproj"
_TASK = "image-to-image"
_TAGS = ["computed-tomography", "metal-artifact-reduction", "medical-imaging", "equivariance", "pytorch"]
_METRICS = (  # type on the hub, column, name
    ("psnr", "psnr_db_mean", "PSNR, protocol fixed [dB]"),
    ("ssim", "ssim_mean", "SSIM, protocol fixed"),
    ("psnr", "psnr_official_db_mean", "PSNR, protocol official [dB]"),
    ("ssim", "ssim_official_mean", "SSIM, protocol official"),
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def model_front_matter(results: StudyTables, config: Config, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Licence, library, tags, and the results of every model of the card.

    Args:
        results: the study.
        config: its configuration.
        rows: the rows of ``models.csv`` that the card shows.
    """
    values: dict[str, Any] = {
        **_licence([weights_licence(results, config)], "depends on the licence of the training data"),
        "library_name": LIBRARY,
        "pipeline_tag": _TASK,
        "tags": _TAGS,
        "metrics": ["psnr", "ssim"],
    }
    if rows:
        values["model-index"] = [_model(row, config) for row in rows]
    return _yaml(values)


def dataset_front_matter(results: StudyTables, config: Config) -> Markup:
    """Licences, name, task and size of the data."""
    n_slices, masks = counts(results), config.simulation.masks_per_slice
    n = len(config.study.strengths) * sum(n_slices[f"n_{subset}_slices"] * masks[subset] for subset in SUBSETS)
    return _yaml(
        {
            **_licence(data_licences(results.sources, config), "those of the sources, named below"),
            "pretty_name": f"CT slices with simulated metal artefacts, study {config.study.name}",
            "task_categories": [_TASK],
            "tags": _TAGS[:3],
            "size_categories": [next((name for limit, name in _SIZES if n < limit), "n>1M")],
            "annotations_creators": ["machine-generated"],
        }
    )


def _licence(names: list[str], said: str) -> dict[str, Any]:
    named = {"license": names[0] if len(names) == 1 else names}
    return named | ({"license_name": said.replace(",", "").replace(" ", "-")} if OTHER in names else {})


def _model(row: Mapping[str, Any], config: Config) -> dict[str, Any]:
    metrics = [
        {"type": kind, "name": name, "value": round(float(row[column]), 4)}
        for kind, column, name in _METRICS
        if math.isfinite(row.get(column, math.nan))
    ]
    result = {
        "task": {"type": _TASK, "name": "CT metal artefact reduction"},
        "dataset": {
            "type": f"{config.source.kind}-ct-with-simulated-metal",
            "name": f"Test pairs of the study {config.study.name}",
            "split": "test",
        },
        "metrics": metrics,
    }
    name = f"{row['network']}, {model_name(dict(row))}".replace("\N{NO-BREAK SPACE}", " ")
    return {"name": name, "results": [result]}


def _yaml(values: dict[str, Any]) -> Markup:
    # no HTML: what comes from outside is quoted by YAML itself
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)
    return Markup(f"---\n{text}---\n")
