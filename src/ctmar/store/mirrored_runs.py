"""Which run of MLflow mirrors which run of a study: a small file, so that who shows the id need not ask MLflow."""

import json
from collections.abc import Mapping
from pathlib import Path

from ctmar.store.atomic import atomic_path

_FILE = Path("mlflow", "runs.json")  # below the folder of the study's results


def write_mirrored(results: Path, run_ids: Mapping[str, str]) -> None:
    """Write the ids of MLflow by the folders of the runs, ``network/setting/seed-0``; what says so is not touched."""
    text = json.dumps(dict(sorted(run_ids.items())), indent=1) + "\n"
    path = results / _FILE
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_mirrored(results: Path) -> dict[str, str]:
    """The ids of MLflow by the folders of the runs; none where nothing is mirrored, or the file says something else.

    The mirror is no result, and nothing that is wrong with it may keep a result from being shown.
    """
    try:
        found = json.loads((results / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {folder: run_id for folder, run_id in found.items() if isinstance(run_id, str)}
