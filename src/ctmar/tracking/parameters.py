"""Settings as MLflow holds them: text by dotted name, of limited length."""

import hashlib
from typing import Any

from ctmar.config import Run, RunSettings, Study

LONGEST = 6000  # characters of a parameter, MLflow's own limit; a longer one fails the whole request


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as text by dotted name.

    Examples:
        >>> flatten({"training": {"epochs": 8, "betas": [0.9, 0.999]}})
        {'training.epochs': '8', 'training.betas': '[0.9, 0.999]'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": str(value)}
    return flat


def run_parameters(settings: RunSettings) -> dict[str, str]:
    """The settings of a run; those of the run itself by their plain names. Patients stay behind."""
    values = settings.model_dump(mode="json")
    sections = flatten(values["network"], "network.") | flatten(values["training"], "training.")
    return flatten(values["run"]) | {"group": settings.group} | sections


def study_parameters(study: Study, runs: list[Run]) -> dict[str, str]:
    """A study in few words; all of it is in an artefact."""
    compared = {name: " ".join(sorted({str(getattr(run, name)) for run in runs})) for name in Run.model_fields}
    return compared | flatten({"group": study.group, "n_runs": len(runs)})


def swept(runs: list[Run]) -> list[str]:
    """The parameters in which the runs of a study differ."""
    return [name for name in Run.model_fields if len({str(getattr(run, name)) for run in runs}) > 1]


def cut(parameters: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Parameters that fit, and the whole text of those that were too long.

    Examples:
        >>> short, whole = cut({"seed": "0", "settings": "x" * 7000})
        >>> short["seed"], len(short["settings"]), "… (7000 characters, sha256" in short["settings"], list(whole)
        ('0', 6000, True, ['settings'])
    """
    whole = {name: text for name, text in parameters.items() if len(text) > LONGEST}
    return parameters | {name: _shortened(text) for name, text in whole.items()}, whole


def _shortened(text: str) -> str:
    end = f" … ({len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()})"
    return text[: LONGEST - len(end)] + end
