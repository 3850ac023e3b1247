"""Which patients and which of their slices are read, and in what portions."""

from collections.abc import Iterator

from ctmar.config import Source
from ctmar.datasets.sources import Stack
from ctmar.datasets.worker import Task
from ctmar.errors import InputError

_PARTS_PER_TASK = 8  # few enough to bound memory, enough to hide the cost of passing them between processes


def choose_patients(stacks: list[Stack], source: Source) -> list[Stack]:
    """The stacks of the patients that the source is limited to.

    Raises:
        InputError: a patient of ``source.patients`` is not found.
    """
    if source.patients is None:
        return stacks
    known = {stack.patient for stack in stacks}
    unknown = sorted(set(source.patients) - known)
    if unknown:
        raise InputError(
            f"source.patients: patient '{unknown[0]}' not found; patients with CT: {', '.join(sorted(known))}"
        )
    return [stack for stack in stacks if stack.patient in source.patients]


def choose_slices(stacks: list[Stack], maximum: int) -> dict[str, list[int]]:
    """Evenly spaced slices of each patient, over all series of the patient one after the other.

    Args:
        stacks: all series.
        maximum: slices wanted of each patient at most.

    Returns:
        Numbers of the slices in each stack, by ``Stack.slice_prefix``.
    """
    chosen: dict[str, list[int]] = {stack.slice_prefix: [] for stack in stacks}
    for patient in {stack.patient for stack in stacks}:
        own = [stack for stack in stacks if stack.patient == patient]
        slices = [(stack.slice_prefix, index) for stack in own for index in range(stack.content.n_slices)]
        n_chosen = min(maximum, len(slices))
        # middles of n equal parts: the ends of a stack often lie outside the body
        for part in range(n_chosen):
            prefix, index = slices[(2 * part + 1) * len(slices) // (2 * n_chosen)]
            chosen[prefix].append(index)
    return chosen


def make_tasks(stack: Stack, indices: list[int]) -> Iterator[Task]:
    """Cut the chosen slices of a stack into tasks."""
    parts = stack.content.parts(indices)
    for start in range(0, len(parts), _PARTS_PER_TASK):
        yield Task(stack.slice_prefix, tuple(parts[start : start + _PARTS_PER_TASK]))
