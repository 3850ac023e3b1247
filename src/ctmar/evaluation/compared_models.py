"""A model of a study: the runs of one setting over their seeds, and what two models have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Run
from ctmar.evaluation.intervals import NOTHING, Estimate, over_seeds
from ctmar.evaluation.run_results import Identity, RunResult
from ctmar.store.run_records import Measurements


@dataclass(frozen=True)
class Model:
    """The runs of one identity over their seeds, in the order of the seeds."""

    runs: list[RunResult]

    @property
    def run(self) -> Run:
        """The settings of its first run."""
        return self.runs[0].run

    @property
    def identity(self) -> Identity:
        """The settings that seeds share, in the order of `IDENTITY`."""
        return self.runs[0].identity

    @property
    def network(self) -> str:
        """Name of the network."""
        return self.run.network

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.run.method)

    @property
    def norm(self) -> str:
        """Name of the norm, or none."""
        return self.run.norm

    @property
    def lam_perp(self) -> float:
        """Weight λ⊥."""
        return self.run.lam_perp

    @property
    def lam_equi(self) -> float:
        """Weight λ_G."""
        return self.run.lam_equi

    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [run.seed for run in self.runs]

    def folds(self) -> list[tuple[str, ...]]:
        """Fold of each run."""
        return [run.fold for run in self.runs]

    def of_seeds(self, seeds: Sequence[int]) -> "Model":
        """The model with the runs of some of its seeds."""
        return Model([run for run in self.runs if run.seed in seeds])

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which seed was tested on which pair, shape (n_seeds, n_pairs)."""
        return np.stack([run.tested for run in self.runs])

    def metric(self, name: str) -> NDArray[np.float64]:
        """A metric of every pair, shape (n_seeds, n_pairs)."""
        return np.stack([run.metrics[name] for run in self.runs])

    def per_seed(self, measure: Callable[[Measurements], float]) -> NDArray[np.float64]:
        """A number of the measurements of every run, shape (n_seeds)."""
        return np.array([measure(run.measurements) for run in self.runs], np.float64)

    def validation_psnr(self) -> float:
        """Mean over seeds of `RunResult.validation_psnr` [dB]: what weights are chosen by."""
        return float(np.mean([run.validation_psnr for run in self.runs]))


def in_common(model: Model, other: Model) -> tuple[Model, Model]:
    """Both with the runs of the seeds that both have, in the same order."""
    return model.of_seeds(other.seeds()), other.of_seeds(model.seeds())


def over_common_seeds(model: Model, other: Model, measure: Callable[[Measurements], float]) -> Estimate:
    """Mean of ``model`` − ``other`` of a number of the measurements over the seeds that both have."""
    first, second = in_common(model, other)
    if not first.runs:
        return NOTHING
    return over_seeds(first.per_seed(measure) - second.per_seed(measure), first.folds())
