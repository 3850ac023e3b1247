"""How MLflow's interface opens on a study: its current runs, swept parameters as columns, charts over λ⊥.

The interface reads such a view from a tag of the experiment, as its own button *Share* writes it.
"""

import base64
import json
import zlib
from typing import Any

from ctmar.config import Run
from ctmar.tracking.parameters import swept

VIEW = "mlflow.sharedViewState."
_QUALITY = "test/psnr_db"
_METRICS = (_QUALITY, "test/ssim", "validation/psnr", "network/defect_mean", "network/relative_non_equivariance")
_OVER_STEPS = ("validation/psnr", "training/loss", "training/penalty")
_OVER_WEIGHT = (_QUALITY, "network/defect_mean", "network/relative_non_equivariance")


def view_of(runs: list[Run], study: str) -> str:
    """The view of a study as the interface keeps it.

    Args:
        runs: of the study.
        study: its name in the tag ``workflow.study``.
    """
    columns = [f"params.`{name}`" for name in swept(runs)]
    columns += [f"metrics.`{name}`" for name in _METRICS]
    columns += ["attributes.`Dataset`", "attributes.`Models`"]
    state = {
        "searchFilter": f"tags.`workflow.study` = '{study}' AND tags.`workflow.state` = 'current'"
        " AND tags.`workflow.kind` = 'run'",
        "orderByKey": f"metrics.`{_QUALITY}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,  # else the sections that the interface makes come first
        "compareRunSections": [_section(name) for name in ("over λ⊥", "over steps")],
        "compareRunCharts": [
            *(_scatter(metric) for metric in _OVER_WEIGHT),
            _parallel([name for name in swept(runs) if name != "seed"]),
            *(_line(metric) for metric in _OVER_STEPS),
        ],
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state, ensure_ascii=True).encode(), 9)).decode()


def _section(name: str) -> dict[str, Any]:
    return {"uuid": name, "name": name, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}


def _card(kind: str, name: str, section: str, **settings: Any) -> dict[str, Any]:
    common = {"type": kind, "uuid": f"{section} {name}", "metricSectionId": section, "displayName": name}
    return common | {"deleted": False, "isGenerated": False, "runsCountToCompare": 300} | settings


def _scatter(metric: str) -> dict[str, Any]:
    axes = {"xaxis": {"key": "lam_perp", "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return _card("SCATTER", f"{metric} over λ⊥", "over λ⊥", **axes)


def _parallel(parameters: list[str]) -> dict[str, Any]:
    return _card(
        "PARALLEL",
        "settings and quality",
        "over λ⊥",
        selectedParams=parameters,
        selectedMetrics=[_QUALITY],
        showAllRuns=True,
    )


def _line(metric: str) -> dict[str, Any]:
    settings = {"metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step", "useGlobalXaxisKey": True}
    return _card("LINE", metric, "over steps", **settings)
