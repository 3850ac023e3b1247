"""The methods of a study in words: what a reader calls them, which kind they are of, and what each does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodText:
    """A method: its name, its kind, the symbol of its weight, and one sentence on what it does; ``cites`` are keys."""

    name: str
    kind: str
    does: str
    weight_symbol: str = "λ"
    cites: tuple[str, ...] = ()


KINDS = ("Plain training", "Sample-based", "Weight-based", "Projection penalty")

METHODS = {
    "plain": MethodText("Plain", KINDS[0], "minimises the task loss alone; every difference is taken to it"),
    "augmentation": MethodText(
        "Rotation augmentation", KINDS[1], "turns every training pair by a random element of the group"
    ),
    "eqreg": MethodText(
        "EQ-Reg",
        KINDS[1],
        "draws a rotation in each step, doubles the batch with its turned copy, and penalises, layer by layer, the "
        "difference between rotated outputs and outputs of rotated inputs; its task loss also sees the turned half, so "
        "rotation augmentation is a baseline of its own",
        cites=("bai2025",),
    ),
    "function_level": MethodText(
        "Function-level penalty",
        KINDS[1],
        "penalises the defect of the whole network on a sampled rotation of each batch",
    ),
    "residual_pathway": MethodText(
        "Residual pathway",
        KINDS[2],
        "adds a free pathway to an equivariant one in every layer, with weight decay λ⊥ on the free and λ_G on the "
        "equivariant weights",
        "λ⊥",
        ("finzi2021",),
    ),
    "strict": MethodText("Strictly equivariant", KINDS[2], "uses the projected weights P(W) in every step"),
    "train_then_project": MethodText(
        "Train, then project", KINDS[2], "trains plainly and replaces W by P(W) after the last step"
    ),
    "annealed": MethodText(
        "Annealed", KINDS[2], "relaxes the constraint during training and returns to strict equivariance at its end"
    ),
    "softness": MethodText(
        "Softness", KINDS[2], "uses P(W) + s · (W − P(W)) in every layer, with a fixed softness s from 0 (strict) to 1"
    ),
    "projection": MethodText(
        "Projection",
        KINDS[3],
        "adds the weighted norms of W − P(W) and of P(W) to the loss",
        "λ⊥",
        ("berndt2026", "elesedy2021"),
    ),
    "proximal": MethodText(
        "Proximal step",
        KINDS[3],
        "starts equivariant, leaves the loss alone and shrinks W − P(W) after every step of the optimiser, by the "
        "proximal step of the Frobenius penalty; its λ⊥ counts per unit of learning rate",
        "λ⊥",
        ("berndt2026", "loshchilov2019"),
    ),
}


def method_text(method: str) -> MethodText:
    """The words for a method; one that this page does not know keeps its own name, among the weight-based.

    Examples:
        >>> method_text("eqreg").name, method_text("brand_new").name
        ('EQ-Reg', 'brand new')
    """
    return METHODS.get(method) or MethodText(method.replace("_", " "), KINDS[2], "not described on this page")


def kind_of(method: str) -> str:
    """Which kind of method it is.

    Examples:
        >>> kind_of("strict")
        'Weight-based'
    """
    return method_text(method).kind
