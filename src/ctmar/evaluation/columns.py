"""Names of the columns of every table of results: what evaluation writes, the report and MLflow read.

Units are suffixes. A measure with an interval has three columns, ``_mean``, ``_low`` and ``_high``.
"""

import math
from collections.abc import Iterable

from ctmar.config import Run
from ctmar.config.own_code import slug_of
from ctmar.store.run_records import Divergence

CONDITION = ("asymmetry", "slices")  # what data a run is trained and tested on; only within one are runs compared
IDENTITY = tuple(name for name in Run.model_fields if name not in (*CONDITION, "seed"))  # what seeds share
PAIR_COLUMNS = ("patient", "slice_id", "mask_index", "metal_pixels", "metal", "metal_size")
METRICS = (
    "psnr_db",
    "ssim",
    "psnr_official_db",
    "ssim_official",
    "rmse_hu",
    "mae_hu",
    "rmse_soft_hu",
    "rmse_bone_hu",
    "rmse_near_metal_hu",
    "mae_soft_hu",
    "mae_bone_hu",
    "mae_near_metal_hu",
)
GROUPED_METRICS = ("psnr_db", "ssim", "psnr_official_db", "ssim_official", "rmse_hu")  # sizes.csv, materials.csv
OWN = "own_"  # begins the columns of metrics that a study brings of its own
_UNITS = ("_db", "_hu")
QUARTER_TURNS_DEG = (0, 90, 180, 270)
REFERENCE_NETWORK = "reference"  # stands for the network in tables that hold models and references
# models that validation prefers of a method and norm, or of a kind of method; of the standard start and compute
CHOICES = ("chosen", "chosen_of_kind", "standard")
FINISHED, DIVERGED = STATES = ("finished", "diverged")  # how a run ended
# between 0 and 1; the SSIM of an image that goes against the truth may be negative, which no mean here comes near
_SHARES = ("ssim", "ssim_official", "relative_non_equivariance", "auc", "auc_input", "auc_li")
_P_VALUES = ("p_value", "p_value_holm")
MEASURES_OF_A_RUN = (
    "relative_non_equivariance",
    "non_equivariance_growth",
    "non_equivariance_of_start",
    "defect_mean",
    "defect_max",
    "defect_of_correction_mean",
    "defect_of_correction_max",
    "seconds_per_image",
)
# of a run, paired with the plain one of its seed
DIFFERENCES_OF_A_RUN = ("psnr_db", "psnr_official_db")
# of models.csv and runs.csv: what measures the machine, and differs from one time to the next where all else is equal
OF_THE_MACHINE = (
    "seconds_per_step",
    "peak_memory_mb",
    "seconds_per_image",
    "prediction_peak_memory_mb",
    "seconds_total",
)
FROBENIUS_DIFFERENCE = "psnr_to_frobenius_db"  # PSNR less that of the Frobenius norm at the same measured defect
STRICT_DIFFERENCE = "psnr_to_strict_db"  # PSNR less that of the strict network in the same condition
SIGNAL_IMAGES = ("prediction", "Input", "LI")  # in which signals are looked for
AUC_COLUMNS = ("auc_standard_error", "n_signals")  # means over the runs: of the observer's AUC within one run
CURVE_COLUMNS = ("epoch", "step", "loss", "task_loss", "penalty", "learning_rate", "validation_loss", "validation_psnr")
LAYER = ("depth", "layer", "parameter")  # a weight or a bias of a network

COST_COLUMNS = (
    "network",
    "method",
    "norm",
    "n_parameters",
    "milliseconds_per_step",
    "ratio_to_plain",
    "ratio_low",
    "ratio_high",
    "ratio_coverage",
    "penalty_milliseconds",
    "penalty_share",
    "step_memory_mb",
    "threads",
    "batch_size",
    "patch_size",
    "n_repeats",
    "clock",
    "device",
)

VARIANCE_COLUMNS = (  # of variances.csv: one row for each primary comparison, standard deviations of its effects
    "comparison",
    "mean_db",
    "half_width_db",
    "sd_patient_db",
    "sd_seed_db",
    "sd_fold_db",
    "sd_rest_db",
    "n_patients",
    "n_seeds",
    "n_folds",
)


def interval_columns(measure: str) -> tuple[str, str, str]:
    """Mean and limits of a measure.

    Examples:
        >>> interval_columns("psnr_db")
        ('psnr_db_mean', 'psnr_db_low', 'psnr_db_high')
    """
    return f"{measure}_mean", f"{measure}_low", f"{measure}_high"


def range_of(measure: str) -> tuple[float, float]:
    """What values a measure, or its mean, can have: a share lies between 0 and 1, an error is not negative.

    Examples:
        >>> range_of("ssim"), range_of("rmse_hu"), range_of("psnr_db"), range_of("rmse_diff_hu")
        ((0.0, 1.0), (0.0, inf), (-inf, inf), (-inf, inf))
    """
    if measure in _SHARES:
        return 0.0, 1.0
    is_size = measure.startswith(("rmse_", "mae_", "defect")) and "_diff" not in measure
    return (0.0 if is_size else -math.inf), math.inf


def own_metric(text: str) -> str:
    """The column of a metric that a study brings of its own.

    Examples:
        >>> own_metric("my_metrics:haar_psi")
        'own_my_metrics_haar_psi'
    """
    return f"{OWN}{slug_of(text)}"


def metrics_in(header: Iterable[str]) -> tuple[str, ...]:
    """The metrics of a per-slice table: every one of `METRICS`, and what the study brings of its own."""
    return *METRICS, *(column for column in header if column.startswith(OWN))


def difference(metric: str) -> str:
    """The paired difference to the plain model of the same network.

    Examples:
        >>> difference("psnr_db"), difference("ssim"), difference("rmse_near_metal_hu")
        ('psnr_diff_db', 'ssim_diff', 'rmse_near_metal_diff_hu')
    """
    unit = next((unit for unit in _UNITS if metric.endswith(unit)), "")
    return f"{metric.removesuffix(unit)}_diff{unit}"


def defect_at(angle_deg: float) -> str:
    """The measured defect at one angle.

    Examples:
        >>> defect_at(15.0), defect_at(22.5)
        ('defect_15deg', 'defect_22.5deg')
    """
    return f"defect_{angle_deg:g}deg"


def defect_floor_at(angle_deg: float) -> str:
    """The defect that interpolation alone would show at one angle."""
    return f"{defect_at(angle_deg)}_floor"


def psnr_turned(angle_deg: int) -> str:
    """PSNR (*fixed*) of the output turned back after the input was turned."""
    return f"psnr_turned_{angle_deg}deg_db"


def signal_measures(image: str) -> tuple[str, str, str]:
    """What is measured of signals in one of `SIGNAL_IMAGES`: AUC, mean error [HU], share of the contrast that is left.

    Examples:
        >>> signal_measures("prediction"), signal_measures("LI")
        (('auc', 'signal_bias_hu', 'signal_contrast'), ('auc_li', 'signal_bias_li_hu', 'signal_contrast_li'))
    """
    name = "" if image == "prediction" else f"_{image.lower()}"
    return f"auc{name}", f"signal_bias{name}_hu", f"signal_contrast{name}"


def model_columns(angles_deg: Iterable[float], metrics: Iterable[str] = METRICS) -> list[str]:
    """Columns of models.csv, for the angles of ``evaluation.defect_angles_deg`` and the metrics of `metrics_in`."""
    angles = list(angles_deg)
    measures = [name for metric in metrics for name in (metric, difference(metric))]
    measures += ["relative_non_equivariance", "non_equivariance_growth", "non_equivariance_of_start"]
    measures += ["defect", "defect_of_correction", *map(defect_at, angles), *map(defect_floor_at, angles)]
    measures += map(psnr_turned, QUARTER_TURNS_DEG)
    measures += [*(name for image in SIGNAL_IMAGES for name in signal_measures(image)), "auc_gain", "auc_diff"]
    intervals = [column for measure in measures for column in interval_columns(measure)]
    cost = ["seconds_per_step", "peak_memory_mb", "seconds_per_image", "prediction_peak_memory_mb", "n_parameters"]
    return [
        *IDENTITY,
        *CHOICES,
        *intervals,
        *_P_VALUES,
        *AUC_COLUMNS,
        *cost,
        "n_seeds",
        "n_diverged",
        "n_pairs",
        "n_patients",
        "n_slices",
    ]


def group_columns(group: str) -> list[str]:
    """Columns of sizes.csv (``metal_size``) and materials.csv (``metal``): models and references, group by group."""
    intervals = [column for metric in GROUPED_METRICS for column in interval_columns(metric)]
    return [*IDENTITY, group, *intervals, "n_seeds", "n_pairs", "n_patients"]


def slice_columns(metrics: Iterable[str] = METRICS) -> list[str]:
    """Columns of slices.parquet: one row for each model, seed, slice and mask; references have no seed."""
    return [*IDENTITY, "seed", *PAIR_COLUMNS, *metrics]


def run_columns(metrics: Iterable[str] = METRICS) -> list[str]:
    """Columns of runs.csv: one row for each model and seed, means over the test patients.

    ``state`` is one of `STATES`; a run that diverged has no measures. Differences are paired with the plain run of the
    same seed.
    """
    measures = [*metrics, *map(difference, DIFFERENCES_OF_A_RUN), *MEASURES_OF_A_RUN]
    return [*IDENTITY, *CONDITION, "seed", "state", *measures, "validation_psnr", "seconds_total"]


def diverged_columns() -> list[str]:
    """Columns of diverged.csv: every run that diverged, under whatever condition, and where (`Divergence`)."""
    return [*IDENTITY, *CONDITION, "seed", *Divergence.model_fields, "seconds_total"]


def not_finite_columns() -> list[str]:
    """Columns of not_finite.csv: one row for each run, under whatever condition, and measure that is not finite."""
    return [*IDENTITY, *CONDITION, "seed", "measure", "n_not_finite", "n_values"]


def reference_columns(metrics: Iterable[str] = METRICS) -> list[str]:
    """Columns of references.csv: Input, LI and, where the pair file has it, NMAR."""
    return ["reference", *(column for metric in metrics for column in interval_columns(metric)), "n_pairs"]


def dial_columns() -> list[str]:
    """Columns of dial.csv: quality against broken symmetry, one row for each condition, network, method and norm.

    A condition is a value of ``asymmetry`` (how far the pairs break the symmetry) and of ``slices`` (of each patient
    that train; 0: all). Its row names the model that validation prefers among those of the method and norm in this
    condition, their start equivariant where any has that start. Differences are paired, within the condition, to the
    plain model (``psnr_diff_db``) and to the strict one (`STRICT_DIFFERENCE`); their limits hold together for all
    ``n_compared`` differences of the method and norm. The row of plain has no difference to itself (empty), nor
    has that of strict.
    """
    measures = ("psnr_db", difference("psnr_db"), STRICT_DIFFERENCE)
    intervals = [column for measure in measures for column in interval_columns(measure)]
    counts = ["n_compared", "n_seeds", "n_patients"]
    return [*CONDITION, *IDENTITY, *intervals, *counts]


def norm_columns() -> list[str]:
    """Columns of norms_at_defect.csv: one row for each network, norm, power and share of the plain model's defect.

    ``reached`` says whether every seed has the defect between two of the norm's weights; else there are no numbers.
    """
    intervals = [column for measure in ("psnr_db", FROBENIUS_DIFFERENCE) for column in interval_columns(measure)]
    return ["network", "norm", "power", "share", "defect", *intervals, "n_weights", "n_seeds", "reached"]


def layer_columns() -> list[str]:
    """Columns of layers.csv: one row for each model that validation prefers of its method and norm, weight and bias.

    ‖P(W)‖, ‖W − P(W)‖ and ‖W − P(W)‖ / ‖W‖ (Frobenius) of the weights that were kept, means over ``n_seeds`` runs;
    ``depth`` counts the layers from 1 in the order of the network.
    """
    return [*IDENTITY, *LAYER, "norm_equivariant", "norm_perpendicular", "ratio", "n_seeds"]


def layer_curve_columns() -> list[str]:
    """Columns of layer_curves.csv: the norms of layers.csv where epochs left them, 0 the start; at most 20 epochs."""
    return [*IDENTITY, *LAYER, "epoch", "norm_equivariant", "norm_perpendicular", "n_seeds"]


def curve_columns() -> list[str]:
    """Columns of curves.csv: one row for each model, seed and epoch."""
    return [*IDENTITY, "seed", *CURVE_COLUMNS]
