"""Records in the files of a run, by which every key and type of a folder that may come from anybody is checked."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from ctmar.config import RunSettings


class _Record(BaseModel):
    """A part of a file of a run: exactly these keys, of these types; measured numbers may be NaN or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, ser_json_inf_nan="constants")


class Grid(_Record):
    """The grid of the training images: pixels, their size where all slices share one [mm], preset of the scan."""

    image_size: int
    pixel_mm: float | None
    preset: str | None


class Provenance(_Record):
    """Digests of code, data and initial weights, and versions: no path, user or time."""

    code_sha256: str
    own_code_sha256: dict[str, str]
    pairs_train_sha256: str
    pairs_validation_sha256: str | None
    initial_weights_sha256: str | None
    software: dict[str, str]
    processor: str


def _by_angle(table: dict[str, float]) -> dict[str, float]:
    for angle in table:
        float(angle)  # a ValueError of any other text is told with the name of the key
    return table


ByAngle = Annotated[dict[str, float], AfterValidator(_by_angle)]


class LayerNorms(_Record):
    """‖P(W)‖, ‖W − P(W)‖ and ‖W − P(W)‖ / ‖W‖ of one weight or bias."""

    name: str
    norm_equivariant: float
    norm_perpendicular: float
    ratio: float
    norm: str


class WeightNorms(_Record):
    """‖W‖ and ‖W − P(W)‖ (Frobenius) of all weights and biases of typed layers together.

    Examples:
        >>> [WeightNorms(norm=n, norm_perpendicular=n / 2).ratio for n in (2.0, 0.0, float("nan"))]
        [0.5, 0.0, nan]
    """

    norm: float
    norm_perpendicular: float

    @property
    def ratio(self) -> float:
        """‖W − P(W)‖ / ‖W‖; 0 for W = 0, NaN where weights are."""
        return 0.0 if self.norm == 0 else self.norm_perpendicular / self.norm


class RunOrigin(RunSettings):
    """What a run is made of: settings, data, software. Equal origins give equal weights (on one kind of processor)."""

    grid: Grid
    provenance: Provenance


class Start(_Record):
    """When a training took its first step, in seconds since 1970, and of what; a resumed one keeps it."""

    begun: float
    origin: RunOrigin


Place = Literal["weights", "output", "loss", "penalty", "gradient", "validation", "test image"]


class Divergence(_Record):
    """Where a training stopped being finite.

    ``step`` is the step of the optimiser, counted from 1. ``where`` is weights, output, loss, penalty or gradient of
    that step, or validation, the images that the network made after it, or test image, one that the trained network
    made of a test pair; ``layer`` the first layer that was not finite, where one is known; ``loss`` the loss then,
    finite where a gradient was not.
    """

    step: int
    where: Place
    layer: str | None
    loss: float

    def __str__(self) -> str:
        layer = "" if self.layer is None else f"{', output' * (self.where == 'validation')} of layer {self.layer}"
        return f"at step {self.step} ({self.where}{layer}, loss {self.loss:.6g})"


class RunDescription(RunOrigin):
    """What training says of a run: its origin, which epoch was kept, its cost, its first weights, and its layers.

    A run that diverged kept no epoch and has no layers to describe.
    """

    model_config = ConfigDict(strict=True, ser_json_inf_nan="constants", allow_inf_nan=True)

    diverged: Divergence | None = None
    kept_epoch: int | None
    n_parameters: int
    seconds_total: float
    seconds_per_step_median: float
    peak_memory_mb: float
    device: str
    threads: int
    start_norms: WeightNorms
    layers: list[LayerNorms]

    @model_validator(mode="after")
    def _kept_an_epoch_unless_it_diverged(self) -> "RunDescription":
        if (self.kept_epoch is None) != (self.diverged is not None):
            raise ValueError(
                "kept_epoch and diverged: expected one of them, found " + ("none" if self.diverged is None else "both")
            )
        return self


class Epoch(_Record):
    """An epoch of training: means over its steps, where it left the weights, its time [s].

    ``system`` is what `ctmar.models.device.system_facts` said of the machine at its end.
    """

    epoch: int
    step: int
    loss: float
    task_loss: float
    penalty: float
    learning_rate: float
    seconds: float
    seconds_per_step: float
    images_per_second: float
    validation_loss: float
    validation_psnr: float
    system: dict[str, float]


class LayersAtEpoch(_Record):
    """‖P(W)‖ and ‖W − P(W)‖ (Frobenius) of every weight and bias by name, where an epoch left it; 0 is the start."""

    epoch: int
    norms: dict[str, tuple[float, float]]


class Detectability(_Record):
    """How well a low-contrast signal near the metal is found, see `ctmar.evaluation.detectability`.

    Area under the ROC curve of the observer and its standard error (over the images of one run); mean error of the CT
    number where the signals are, in images without them [HU]; share of the signals' contrast that is left.
    """

    auc: float
    auc_standard_error: float
    bias_hu: float
    contrast_share: float
    n_signals: int
    n_images: int


class Measurements(_Record):
    """What evaluation measured of a network beside the images of the pairs; tables by angle have it as text [°]."""

    seconds_per_image: float
    peak_memory_mb: float
    device: str
    relative_non_equivariance: float
    non_equivariance_growth: float
    non_equivariance_of_start: float
    layers: list[LayerNorms]
    defect_mean: float
    defect_max: float
    defect_of_correction_mean: float
    defect_of_correction_max: float
    defect_pairs: int
    defect_at_angles: ByAngle
    defect_floor_at_angles: ByAngle
    psnr_turned_db: ByAngle
    origin_sha256: str  # of all that they follow from: weights, images, settings, code
    detectability: dict[str, Detectability] | None  # of the prediction, Input and LI; None: no signals were simulated

    @model_validator(mode="after")
    def _floors_are_of_the_same_angles(self) -> "Measurements":
        if set(self.defect_at_angles) != set(self.defect_floor_at_angles):
            raise ValueError("defect_at_angles and defect_floor_at_angles: expected the same angles, found others")
        return self
