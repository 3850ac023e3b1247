"""Numbers that are infinite or missing where there should be one, in the words of the banner."""

from dataclasses import dataclass

from ctmar.config import Run
from ctmar.evaluation.columns import OWN
from ctmar.reporting.missing_runs import run_label
from ctmar.reporting.required_columns import RUN_KEY
from ctmar.reporting.study_files import StudyTables, rows_of
from ctmar.reporting.wording import listing, plural

_FEW = 12  # sentences of the banner; the file has all
_NAMES = {
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "psnr_official_db": "PSNR (protocol official)",
    "ssim_official": "SSIM (protocol official)",
    "rmse_hu": "RMSE",
    "mae_hu": "MAE",
    "relative_non_equivariance": "non-equivariance of the weights",
    "non_equivariance_growth": "growth of the non-equivariance",
    "defect_mean": "measured defect",
    "defect_max": "largest measured defect",
    "defect_of_correction_mean": "measured defect of the correction",
    "defect_of_correction_max": "largest measured defect of the correction",
    "seconds_per_image": "time of an image",
    "validation_psnr": "validation PSNR",
}


@dataclass(frozen=True)
class NotFinite:
    """What the banner says of numbers that are not finite: sentences, and how many more the file has."""

    sentences: list[str]
    n_left_out: int


def not_finite_numbers(results: StudyTables) -> NotFinite:
    """One sentence for each run with such numbers.

    Args:
        results: the study.
    """
    several = len({one.run.network for one in results.planned}) > 1
    found: dict[str, list[str]] = {}
    for row in rows_of(results.not_finite):
        run = Run.model_validate({name: row[name] for name in RUN_KEY})
        found.setdefault(f"{run_label(run, several)}, seed {run.seed}", []).append(_counted(row))
    sentences = [f"{name}: {listing(counted)}" for name, counted in found.items()]
    return NotFinite(sentences[:_FEW], max(0, len(sentences) - _FEW))


def _counted(row: dict[str, object]) -> str:
    measure = str(row["measure"])
    name = _NAMES.get(measure, measure.removeprefix(OWN).removesuffix("_hu").replace("_", " "))
    n_not_finite, n_values = int(str(row["n_not_finite"])), int(str(row["n_values"]))
    return name if n_values == 1 else f"{name} on {n_not_finite} of {plural(n_values, 'test pair')}"
