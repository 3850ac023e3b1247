"""Sections about one training: the network, and how it is optimised."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ctmar.config.section import Section, UserPath

DecayRate = Annotated[float, Field(ge=0, lt=1)]


class Network(Section):
    """One network: an architecture of `ctmar.models` and its settings."""

    architecture: str = Field(
        "dncnn", description="Name known to `ctmar.models.build_network`, or `module:name` of your own."
    )
    settings: dict[str, Any] = Field({}, description="Keyword arguments of the architecture.")
    weights: UserPath | None = Field(
        None,
        description="State dictionary to start from: one of the authors', or one that `ctmar train` wrote.",
    )

    @property
    def essence(self) -> tuple[object, ...]:
        """All but the place of its initial weights, which is published of no run."""
        return self.architecture, self.settings, self.weights is None


class Training(Section):
    """Optimisation; for one seed every method has the same drawn weights and data order."""

    epochs: int = Field(8, ge=1, description="Epochs; validation and a checkpoint follow each.")
    steps_per_epoch: int = Field(50, ge=1, description="Optimiser steps of an epoch.")
    batch_size: int = Field(8, ge=1, description="Patches of a step (before any doubling by the method).")
    patch_size: int = Field(64, ge=8, description="Side of a square training patch [pixels].")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's first learning rate.")
    betas: tuple[DecayRate, DecayRate] = Field((0.9, 0.999), description="Adam's exponential decay rates.")
    loss: Literal["masked_mse", "stages"] = Field(
        "masked_mse",
        description="`masked_mse`: mean square error outside metal; `stages`: the published loss of ACDNet, DICDNet "
        "and OSCNet, over all stages.",
    )
    loss_image_l1: float = Field(5e-4, ge=0, description="Weight of the absolute error of the images in `stages`.")
    loss_artefact_l1: float = Field(
        5e-4, ge=0, description="Weight of the absolute error of the artefact images in `stages`."
    )
    schedule: Literal["constant", "cosine", "milestones"] = Field(
        "cosine", description="Learning rate over all steps; `milestones` halves it at the epochs below."
    )
    milestones: list[Annotated[int, Field(ge=1)]] = Field(
        [50, 100, 150, 200], description="Epochs after which the learning rate halves."
    )
    warmup_steps: int = Field(40, ge=0, description="Steps over which the learning rate first rises linearly.")
    validation_pairs: int = Field(16, ge=1, description="Whole slices of the validation after each epoch.")
    threads: int = Field(
        1,
        ge=1,
        description="Threads of one training run; part of the result, so it does not follow `--cores`.",
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where a run trains; `cuda` also asks the scheduler for one GPU per run."
    )
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = Field(
        "float32",
        description="Numbers of the forward and the backward pass; weights stay float32, float16 scales the loss,"
        " tf32 rounds the operands"
        " of convolutions on a GPU (and nothing on a CPU).",
    )
    channels_last: bool = Field(True, description="Memory layout in which convolutions are fastest.")
    compile: bool = Field(False, description="Compile the network with `torch.compile` (slow first step).")
    accumulation: int = Field(
        1, ge=1, description="Parts into which a batch is cut to save memory; gradients are summed."
    )
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Decay per step of the moving average of weights that is kept; 0: none."
    )
    early_stopping_epochs: int | None = Field(
        None, ge=1, description="Stop after this many epochs without a better validation PSNR, and keep the best."
    )
    reader_processes: int = Field(
        0, ge=0, description="Processes that read patches ahead; 0 reads in the training process."
    )

    def times(self, compute: float) -> "Training":
        """The same training with a multiple of the steps, in as many epochs."""
        return self.model_copy(update={"steps_per_epoch": max(1, round(self.steps_per_epoch * compute))})
