"""Which parts there are, in the order of their value, and what each may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part: its module in this package, and its limits [s] on a GPU and in a quick run on a CPU."""

    key: str
    module: str
    title: str
    limit_s: float
    quick_limit_s: float


# the limits of a GPU sum to less than eight minutes
PARTS = (
    Part("a", "part_a_tests", "Tests that need a GPU", 115, 100),
    Part("b", "part_b_cost", "Cost of every method and norm, and speed of the step", 135, 110),
    Part("c", "part_c_many", "Several trainings on one GPU", 60, 60),
    Part("d", "part_d_study", "A study on real CT at 416²", 125, 60),
    Part("e", "part_e_simulation", "Simulation and filtered back-projection in torch", 35, 40),
)
# not in the sum: asked for by name, under a tool that slows every kernel down
SANITIZER = Part("s", "part_s_sanitizer", "Projector and penalty under compute-sanitizer", 300, 60)


def part_named(key: str) -> Part:
    """The part of that letter.

    Raises:
        KeyError: there is none.
    """
    return {part.key: part for part in (*PARTS, SANITIZER)}[key]
