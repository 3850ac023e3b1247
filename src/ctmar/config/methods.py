"""Every fact about every method of a study, in one table.

A method is a row of `METHODS` and the module ``ctmar.training.methods.<name>``, whose function ``attach`` adds it to a
network. What has to know one fact or another asks this table; nothing else lists methods.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

MethodName = Literal[
    "plain",
    "augmentation",
    "eqreg",
    "function_level",
    "residual_pathway",
    "strict",
    "train_then_project",
    "annealed",
    "softness",
    "projection",
    "proximal",
    "test_time_average",
]


class Kind(StrEnum):
    """What a method works on, as the report calls it and in the order in which it shows them."""

    PLAIN = "Plain training"
    SAMPLE = "Sample-based"
    WEIGHT = "Weight-based"
    PENALTY = "Projection penalty"
    AVERAGING = "Averaging"


@dataclass(frozen=True, kw_only=True)
class MethodFacts:
    """One method.

    Args:
        kind: what it works on.
        label: what a reader calls it.
        does: one sentence without its subject and full stop, for the report and for the documentation of the keys.
        cites: keys of `ctmar.reporting.literature`.
        reads_norm: it needs a matrix norm.
        reads_lam_perp: it has a weight λ⊥ (for other methods than the paper's: their one weight).
        reads_lam_equi: it has a weight λᴳ.
        reads_softness: it has a softness.
        weight_symbol: what the report calls its λ⊥.
        turns_samples: it passes turned images through the network while training, so that what a step takes beyond the
            plain one grows with the batch.
        copies: images that pass through the network in a step for each image of the batch.
        copies_of_weights: sets of weights that a step keeps.
        adapts_weight: in place of λ⊥ a target or a balance may be given, and the penalty has a power.
        averages_predictions: at prediction time, validation included, the network is averaged over the group, which
            takes as many forward passes as the group has elements.
        question: what readers of the paper ask about the penalty beside this method, put as a statement that is true
            where the penalty is better.
    """

    kind: Kind
    label: str
    does: str
    cites: tuple[str, ...] = ()
    reads_norm: bool = False
    reads_lam_perp: bool = False
    reads_lam_equi: bool = False
    reads_softness: bool = False
    weight_symbol: str = "λ"
    turns_samples: bool = False
    copies: int = 1
    copies_of_weights: int = 1
    adapts_weight: bool = False
    averages_predictions: bool = False
    question: str = ""

    @property
    def in_a_sentence(self) -> str:
        """The label where it does not begin a sentence.

        Examples:
            >>> METHODS["eqreg"].in_a_sentence, METHODS["strict"].in_a_sentence
            ('EQ-Reg', 'strictly equivariant')
        """
        return self.label if self.label[1:2].isupper() else self.label.lower()


METHODS: dict[str, MethodFacts] = {
    "plain": MethodFacts(
        kind=Kind.PLAIN,
        label="Plain",
        does="minimises the task loss alone; every difference is taken to it",
        question="The penalty improves on the plain network.",
    ),
    "augmentation": MethodFacts(
        kind=Kind.SAMPLE,
        label="Rotation augmentation",
        does="turns every training pair by a random element of the group",
        turns_samples=True,
        question="The penalty improves on rotation augmentation.",
    ),
    "eqreg": MethodFacts(
        kind=Kind.SAMPLE,
        label="EQ-Reg",
        does="draws a rotation in each step, doubles the batch with its turned copy, and penalises, layer by layer, "
        "the difference between rotated outputs and outputs of rotated inputs; its task loss also sees the turned "
        "half, so rotation augmentation is a baseline of its own",
        cites=("bai2025",),
        reads_lam_perp=True,
        turns_samples=True,
        copies=2,
    ),
    "function_level": MethodFacts(
        kind=Kind.SAMPLE,
        label="Function-level penalty",
        does="penalises the defect of the whole network on a sampled rotation of each batch",
        reads_lam_perp=True,
        turns_samples=True,
        copies=2,
    ),
    "residual_pathway": MethodFacts(
        kind=Kind.WEIGHT,
        label="Residual pathway",
        does="adds a free pathway to an equivariant one in every layer, with decoupled weight decay λ⊥ on the free and "
        "λᴳ on the equivariant weights",
        cites=("finzi2021",),
        reads_lam_perp=True,
        reads_lam_equi=True,
        copies_of_weights=2,
        weight_symbol="λ⊥",
    ),
    "strict": MethodFacts(
        kind=Kind.WEIGHT,
        label="Strictly equivariant",
        does="uses the projected weights P(W) in every step",
    ),
    "train_then_project": MethodFacts(
        kind=Kind.WEIGHT,
        label="Train, then project",
        does="trains plainly and replaces W by P(W) after the last step",
    ),
    "annealed": MethodFacts(
        kind=Kind.WEIGHT,
        label="Annealed",
        does="relaxes the constraint during training and returns to strict equivariance at its end",
    ),
    "softness": MethodFacts(
        kind=Kind.WEIGHT,
        label="Softness",
        does="uses P(W) + s · (W − P(W)) in every layer, with a fixed softness s from 0 (strict) to 1",
        reads_softness=True,
    ),
    "projection": MethodFacts(
        kind=Kind.PENALTY,
        label="Projection",
        does="adds the weighted norms of W − P(W) and of P(W) to the loss",
        cites=("berndt2026", "elesedy2021"),
        reads_norm=True,
        reads_lam_perp=True,
        reads_lam_equi=True,
        weight_symbol="λ⊥",
        adapts_weight=True,
    ),
    "proximal": MethodFacts(
        kind=Kind.PENALTY,
        label="Proximal step",
        does="leaves the loss alone and shrinks W − P(W) after every step of the optimiser, by the "
        "proximal step of the Frobenius penalty; its λ⊥ counts per entry and unit of learning rate",
        cites=("berndt2026", "loshchilov2019"),
        reads_lam_perp=True,
        weight_symbol="λ⊥",
        adapts_weight=True,
    ),
    "test_time_average": MethodFacts(
        kind=Kind.AVERAGING,
        label="Test-time average",
        does="trains plainly and predicts the mean of g⁻¹ f(g·x) over all elements g of the group, f the network: "
        "exactly equivariant, for as many forward passes as there are elements",
        cites=("elesedy2021",),
        averages_predictions=True,
        question="Training with the penalty is better than averaging the plain network over the group at test time.",
    ),
}


def every_method_in_words() -> str:
    """What each method does, for the documentation of the key that names one."""
    return "; ".join(f"`{name}` {facts.does.replace('; ', ', ')}" for name, facts in METHODS.items()) + "."
