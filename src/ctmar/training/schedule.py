"""The learning rate, a function of the step: a restarted run needs no scheduler state."""

import math

import torch

from ctmar.config import Training


def learning_rate(training: Training, step: int) -> float:
    """Learning rate of step ``step``, counted from 0.

    ``constant``: the first rate r. ``cosine``: r ½(1 + cos(π step / n_steps)), from r to zero. ``milestones``: r halved
    for every milestone among the epochs that are over. All rise linearly over the first ``warmup_steps`` steps: the
    first steps of Adam are otherwise large enough to switch off every ReLU.

    Examples:
        >>> settings = Training(epochs=1, steps_per_epoch=4, learning_rate=0.01, schedule="cosine", warmup_steps=2)
        >>> [round(learning_rate(settings, step), 6) for step in range(4)]
        [0.005, 0.008536, 0.005, 0.001464]
    """
    rate = training.learning_rate * min(1.0, (step + 1) / max(1, training.warmup_steps))
    match training.schedule:
        case "constant":
            return rate
        case "cosine":
            return rate * (1 + math.cos(math.pi * step / (training.epochs * training.steps_per_epoch))) / 2
        case "milestones":
            epochs_over = step // training.steps_per_epoch
            return rate * 0.5 ** sum(milestone <= epochs_over for milestone in training.milestones)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters the learning rate ``rate``."""
    for group in optimiser.param_groups:
        group["lr"] = rate
