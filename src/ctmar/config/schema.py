"""One typed model for each section of a study's configuration.

``config/schema.json`` (for editors) and the tables of ``config/README.md`` are written from these models; a test keeps
them in step.
"""

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ctmar.errors import InputError
from equiproj.norms import parse_norm

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")
METHODS_WITHOUT_PENALTY = ("plain", "augmentation")


class Section(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Where CT comes from."""

    kind: Literal["package", "dicom_dir", "nifti_dir", "syndeeplesion"] = Field(
        "package",
        description="`package`: public CT inside pinned Python packages; `dicom_dir`, `nifti_dir`: your own folder; "
        "`syndeeplesion`: a copy of that benchmark, its slices and metal masks read as they are.",
    )
    folder: Path | None = Field(
        None,
        description="Folder (or zip or tar archive) of `dicom_dir`, `nifti_dir` or `syndeeplesion`.",
    )
    licence: str = Field("not stated", description="Licence of your own data, for the dataset card.")
    citation: str = Field("not stated", description="Citation of your own data, for the dataset card.")

    @model_validator(mode="after")
    def _folder_goes_with_kind(self) -> "Source":
        if self.kind != "package" and self.folder is None:
            raise ValueError(f"folder is needed for kind '{self.kind}': give the folder that holds your CT")
        return self


class Ingest(Section):
    """From DICOM or NIfTI to slices on the working grid."""

    image_size: int = Field(416, ge=32, le=1024, description="Rows and columns of the working grid [pixels].")
    pixel_mm: float | None = Field(
        None,
        gt=0,
        description="Pixel of the working grid [mm]; `null` fits the longer side of each slice to the grid.",
    )
    minimum_rows: int = Field(256, ge=16, description="Images with fewer rows or columns are quarantined [pixels].")
    maximum_slices_per_patient: int = Field(
        100, ge=1, description="Evenly spaced slices taken of each patient; those that fail a check are not replaced."
    )
    metal_hu: float = Field(2500.0, description="Above this a voxel counts as metal [HU].")
    maximum_metal_pixels: int = Field(20, ge=0, description="Slices with more metal than this are left out [pixels].")
    minimum_body_fraction: float = Field(
        0.1, ge=0, le=1, description="Slices whose body covers less of the working grid are left out."
    )
    maximum_border_fraction: float = Field(
        0.5, ge=0, le=1, description="Slices with body along more of the image border are left out (truncated)."
    )
    maximum_unpacked_gb: float = Field(
        50.0, gt=0, description="All zip and tar archives together may unpack to this [10⁹ bytes]."
    )
    maximum_archive_members: int = Field(200_000, ge=1, description="Files in all archives together.")
    maximum_archive_ratio: float = Field(
        200.0, gt=1, description="An archive may unpack to this many times its size; more is taken for a bomb."
    )
    salt_file: Path | None = Field(
        None,
        description="File whose content salts the hashes that stand for patients and files; keep it secret. "
        "`null` takes a public salt: who knows a patient's identifier can then find the patient in the tables.",
    )


class Split(Section):
    """Which patient is in which subset; a patient is never in two."""

    seed: int = Field(0, ge=0, description="Seed of the order in which patients are dealt.")
    fractions: dict[Subset, float] = Field(
        {"train": 0.6, "validation": 0.2, "test": 0.2},
        description="Wanted share of the slices per subset; sums to 1.",
    )
    assignment: dict[str, Subset] = Field(
        {}, description="Patients put into a subset by name (`patient` of the catalogue); the rest is dealt."
    )

    @model_validator(mode="after")
    def _fractions_sum_to_one(self) -> "Split":
        if abs(sum(self.fractions.values()) - 1) > 1e-6:
            raise ValueError(f"fractions must sum to 1, found {sum(self.fractions.values()):g}")
        if set(self.fractions) != set(SUBSETS):
            raise ValueError(
                f"fractions needs exactly the keys {', '.join(SUBSETS)}, found {', '.join(self.fractions)}"
            )
        return self


class Simulation(Section):
    """Metal artefacts by polychromatic fan-beam simulation."""

    preset: Literal["benchmark", "physical"] = Field(
        "benchmark",
        description="`benchmark`: the shrunken geometry of SynDeepLesion; `physical`: the real pixel spacing.",
    )
    seed: int = Field(0, ge=0, description="Seed of the masks and of the photon noise.")
    masks_per_slice: dict[Subset, int] = Field(
        {"train": 4, "validation": 2, "test": 4}, description="Metal masks drawn for each slice of a subset."
    )
    photons: float = Field(2e7, gt=0, description="Photons per ray without an object.")
    scatter: float = Field(20.0, ge=0, description="Scatter counts added to every ray.")
    metal: Literal["titanium", "ti6al4v", "cobalt_chromium", "steel", "amalgam"] = Field(
        "titanium", description="Material of the simulated metal."
    )
    store_sinograms: bool = Field(False, description="Keep the sinograms in the pair files (large).")


class Network(Section):
    """One network: an architecture of `ctmar.models` and its settings."""

    architecture: str = Field("dncnn", description="Name known to `ctmar.models.build_network`.")
    settings: dict[str, Any] = Field({}, description="Keyword arguments of the architecture.")


class Training(Section):
    """Optimisation; the same data order and initialisation across methods for one seed."""

    epochs: int = Field(8, ge=1, description="Epochs; validation and a checkpoint follow each.")
    steps_per_epoch: int = Field(50, ge=1, description="Optimiser steps of an epoch.")
    batch_size: int = Field(8, ge=1, description="Patches of a step (before any doubling by the method).")
    patch_size: int = Field(64, ge=8, description="Side of a square training patch [pixels].")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's first learning rate.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's exponential decay rates.")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="Learning rate over all steps.")
    warmup_steps: int = Field(40, ge=0, description="Steps over which the learning rate first rises linearly.")
    validation_pairs: int = Field(16, ge=1, description="Whole slices of the validation after each epoch.")
    threads: int = Field(
        1,
        ge=1,
        description="Threads of one training run; part of the result, so it does not follow `--cores`.",
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="`cuda` also asks the scheduler for one GPU per run.")


def _known_norm(text: str) -> str:
    if text != "none":
        parse_norm(text)
    return text


NormName = Annotated[str, AfterValidator(_known_norm)]


def _check_method(method: str, norms: list[str], weights: list[float]) -> None:
    if (method == "projection") == ("none" in norms):
        raise ValueError(f"method '{method}' with norm {norms}: method 'projection', and no other, needs a norm")
    if method in METHODS_WITHOUT_PENALTY and any(weights):
        raise ValueError(f"method '{method}' has no penalty: lam_perp and lam_equi must be 0 or left out")


class Run(Section):
    """One training run: the unit of the study."""

    network: str
    method: Literal["plain", "augmentation", "eqreg", "projection"]
    norm: NormName = "none"
    lam_perp: float = Field(0.0, ge=0)
    lam_equi: float = Field(0.0, ge=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _settings_go_with_method(self) -> "Run":
        if (self.method == "projection") != (self.norm != "none"):
            raise ValueError(
                f"method '{self.method}' with norm '{self.norm}': a norm goes with method 'projection' only"
            )
        if self.method in METHODS_WITHOUT_PENALTY and (self.lam_perp or self.lam_equi):
            raise ValueError(f"method '{self.method}' has no penalty: lam_perp and lam_equi must be 0 or left out")
        return self


class RunGroup(Section):
    """Runs of one method, written once: every list is expanded against the others, the networks and the seeds."""

    method: Literal["plain", "augmentation", "eqreg", "projection"] = Field(
        description="`plain`, `augmentation` (random group elements), `eqreg` (Bai et al. 2025) or `projection`."
    )
    norm: list[NormName] = Field(["none"], description="Matrix norms of the projection penalty.")
    lam_perp: list[float] = Field([0.0], description="Weights λ⊥ of ‖W − P(W)‖ (for `eqreg`: its λ).")
    lam_equi: list[float] = Field([0.0], description="Weights λ_G of ‖P(W)‖.")

    @model_validator(mode="after")
    def _settings_go_with_method(self) -> "RunGroup":
        _check_method(self.method, self.norm, [*self.lam_perp, *self.lam_equi])
        return self


class Study(Section):
    """Which models are trained."""

    networks: dict[str, Network] = Field({"dncnn": Network()}, description="Networks by the name used in paths.")
    seeds: list[int] = Field([0, 1, 2], min_length=1, description="Seeds of initialisation, data order and method.")
    group_order: int = Field(4, ge=1, description="n of the rotation group C_n.")
    power: Literal[1, 2] = Field(1, description="1: the penalty is the norm, 2: its square.")
    runs: list[RunGroup] = Field(min_length=1, description="What is compared.")

    def expand(self) -> list[Run]:
        """All training runs in the order of the file; a run written twice is an error."""
        runs = [
            Run(network=network, method=group.method, norm=norm, lam_perp=perp, lam_equi=equi, seed=seed)
            for group in self.runs
            for network, norm, perp, equi, seed in itertools.product(
                self.networks, group.norm, group.lam_perp, group.lam_equi, self.seeds
            )
        ]
        twice = {run for run in runs if runs.count(run) > 1}
        if twice:
            raise InputError(f"study.runs: the same run is written twice: {sorted(map(str, twice))[0]}")
        return runs


class Evaluation(Section):
    """What is measured on the test subset."""

    bootstrap_samples: int = Field(2000, ge=100, description="Resamples of the paired bootstrap.")
    bootstrap_seed: int = Field(0, ge=0, description="Seed of the bootstrap.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    defect_slices: int = Field(8, ge=1, description="Test pairs on which the equivariance defect is measured.")
    examples: int = Field(4, ge=1, description="Test pairs shown as images in the report.")
    cost_repeats: int = Field(7, ge=3, description="Repeats of the step-time measurement (the median is reported).")


class Tracking(Section):
    """MLflow mirrors the runs; it can never break one."""

    enabled: bool = Field(True, description="Mirror finished runs to MLflow.")
    experiment: str = Field("equiproj", description="Name of the MLflow experiment.")


class Report(Section):
    """How the report looks."""

    title: str = Field("Approximate equivariance on CT metal artefact reduction", description="Heading.")
    window_hu: tuple[float, float] = Field((-175.0, 275.0), description="CT window of the images [HU].")
    error_hu: float = Field(200.0, gt=0, description="Error maps run from minus to plus this [HU].")


class Config(Section):
    """A whole study."""

    source: Source = Source()
    ingest: Ingest = Ingest()
    split: Split = Split()
    simulation: Simulation = Simulation()
    training: Training = Training()
    study: Study
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()
    report: Report = Report()
