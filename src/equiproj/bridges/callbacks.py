"""A penalty in a training loop of Lightning or of transformers: their packages are imported when a callback is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from equiproj.bridges.attachment import Attachment, Penalty, attach

PENALTY_FILE = "equiproj_penalty.pt"  # beside the optimiser's state in a checkpoint of transformers


def lightning_callback(
    penalty: Penalty, *, optimiser: int = 0, name: str = "penalty", max_gradient_norm: float | None = None
) -> Any:
    """A `lightning.pytorch.Callback` that applies a penalty while a `Trainer` fits.

    As `attach` does, from the start of training to its end, interrupted or not. Logs the penalty as `name` and λ_⊥ as
    `name_weight` (one for each parameter where it is given for each), and keeps the penalty's state in the checkpoints
    of the `Trainer`, from which `fit(ckpt_path=...)` restores it.

    Args:
        penalty: built on the `LightningModule`, or on a part of it.
        optimiser: which of the module's optimisers trains the penalty's weights.
        name: of the penalty in logs and checkpoints; one for each where there are several.
        max_gradient_norm: as for `attach`, in the place of the `gradient_clip_val` of the `Trainer`, which bounds the
            task's gradient alone.

    Raises:
        ImportError: neither `lightning` nor `pytorch_lightning` is installed.

    Examples:
        >>> from equiproj import ProjectionPenalty
        >>> network = torch.nn.Linear(4, 4)
        >>> penalty = ProjectionPenalty(network, "C4", input_type="regular", output_type="regular")
        >>> lightning_callback(penalty).state_key
        'penalty'
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        Callback = _older_lightning_callback()

    class PenaltyCallback(Callback):
        """Attaches the penalty; see `lightning_callback`."""

        attachment: Attachment | None = None

        @property
        def state_key(self) -> str:
            return name

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.attachment = attach(trainer.optimizers[optimiser], penalty, max_gradient_norm=max_gradient_norm)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            for key, value in logged(penalty, self.attachment, name).items():
                pl_module.log(key, value)  # a tensor as it is: its number would wait for the device at every batch

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self._remove()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._remove()

        def state_dict(self) -> dict[str, Any]:
            return penalty.state_dict()

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            penalty.load_state_dict(state_dict)

        def _remove(self) -> None:
            if self.attachment is not None:
                self.attachment.remove()
                self.attachment = None

    return PenaltyCallback()


def _older_lightning_callback() -> Any:
    """The same class by the name that the package had before."""
    try:
        from pytorch_lightning import Callback
    except ImportError as error:
        raise ImportError("expected the package lightning, or pytorch_lightning, found neither") from error
    return Callback


def trainer_callback(penalty: Penalty, *, name: str = "penalty", max_gradient_norm: float | None = None) -> Any:
    """A `transformers.TrainerCallback` that applies a penalty while a `Trainer` trains.

    As `attach` does. Adds the penalty as `name` and λ_⊥ as `name_weight` to the logs, and writes the penalty's state
    into the folder of each checkpoint; a resumed training reads it from `output_dir/checkpoint-STEP`.

    Args:
        penalty: built on the model that the `Trainer` is given, or on a part of it.
        name: of the penalty in logs.
        max_gradient_norm: as for `attach`, in the place of the `max_grad_norm` of the `TrainingArguments`, which bounds
            the task's gradient alone: set that to 0, it is 1 by default.

    Raises:
        ImportError: `transformers` is not installed.
        FileNotFoundError: when a training resumes, where the checkpoint holds no state of a penalty.

    Examples:
        >>> from equiproj import ProjectionPenalty
        >>> network = torch.nn.Linear(4, 4)
        >>> penalty = ProjectionPenalty(network, "C4", input_type="regular", output_type="regular")
        >>> type(trainer_callback(penalty)).__name__
        'PenaltyCallback'
    """
    from transformers import TrainerCallback

    class PenaltyCallback(TrainerCallback):
        """Attaches the penalty; see `trainer_callback`."""

        attachment: Attachment | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step > 0:
                _load(penalty, _folder(args, state))
            optimiser = kwargs["optimizer"]
            self._remove()  # after a training that was interrupted
            # accelerate's wrapper calls the step of the optimiser inside
            inner = getattr(optimiser, "optimizer", optimiser)
            self.attachment = attach(inner, penalty, max_gradient_norm=max_gradient_norm)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._remove()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs is not None and "loss" in logs:
                found = {key: float(value) for key, value in logged(penalty, self.attachment, name).items()}
                logs.update(found)
                state.log_history[-1].update(found)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                _save(penalty, _folder(args, state))

        def _remove(self) -> None:
            if self.attachment is not None:
                self.attachment.remove()
                self.attachment = None

    return PenaltyCallback()


def logged(penalty: Penalty, attachment: Attachment | None, name: str) -> dict[str, float | torch.Tensor]:
    """The penalty at the last step, where it is added to the loss, as a tensor, and λ_⊥.

    Examples:
        >>> from equiproj import ProjectionPenalty
        >>> network = torch.nn.Linear(4, 4)
        >>> penalty = ProjectionPenalty(network, "C4", input_type="regular", output_type="regular")
        >>> logged(penalty, None, "penalty")
        {'penalty_weight': 1.0}
    """
    weight = penalty.weight_perpendicular
    found: dict[str, float | torch.Tensor]
    if isinstance(weight, dict):
        found = {f"{name}_weight/{key}": value for key, value in weight.items()}
    else:
        found = {f"{name}_weight": weight}
    if attachment is not None and attachment.value is not None:
        found[name] = attachment.value
    return found


def _folder(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _save(penalty: Penalty, folder: Path) -> None:
    partial = folder / f"{PENALTY_FILE}.partial"
    torch.save(penalty.state_dict(), partial)
    partial.replace(folder / PENALTY_FILE)


def _load(penalty: Penalty, folder: Path) -> None:
    path = folder / PENALTY_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the penalty's state of the checkpoint to resume from, found none")
    penalty.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
