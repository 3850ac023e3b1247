"""What work amounts to, on every machine alike; no torch, so that a workflow can read it in thousands of jobs."""

from typing import NamedTuple


class Counts(NamedTuple):
    """What some work amounts to: operations on numbers, calls of operations, bytes moved, most bytes alive."""

    flops: float
    calls: float
    bytes_moved: float
    peak_bytes: float

    def times(self, factor: float) -> "Counts":
        """The same work on so many times the pixels, all at once."""
        return Counts(factor * self.flops, self.calls, factor * self.bytes_moved, factor * self.peak_bytes)


class NetworkCounts(NamedTuple):
    """A network: bytes of its weights and buffers, forward and backward pass of a batch, prediction of a slice.

    The most bytes alive of a prediction are those of as many slices as an evaluation predicts at once.
    """

    state_bytes: float
    step: Counts
    prediction: Counts
