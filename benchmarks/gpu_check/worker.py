"""The process of one part: measures and writes rows until it is done or ended from outside."""

import argparse
import importlib
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_check.parts import part_named
from benchmarks.gpu_check.rows import Recorder


@dataclass(frozen=True)
class Settings:
    """How a part is run.

    ``quick`` makes everything small, ``deadline`` is the time [s, `time.monotonic`] at which the part is ended from
    outside, ``bundle`` the folder with pairs of real CT, ``output`` a folder for traces and logs.
    """

    device: str
    quick: bool
    deadline: float
    bundle: Path
    output: Path
    trace: bool

    def seconds_left(self) -> float:
        """Until the part is ended."""
        return self.deadline - time.monotonic()

    def by(self, share: float) -> float:
        """The moment at which this share of the time that is left will be over."""
        return time.monotonic() + share * max(0.0, self.seconds_left())


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--device", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    given = parser.parse_args()
    # the start of Python and torch has taken some of the limit, and the end takes a moment
    deadline = time.monotonic() + given.limit - 5.0
    settings = Settings(given.device, given.quick, deadline, given.bundle, given.output, given.trace)
    module = importlib.import_module(f"benchmarks.gpu_check.{part_named(given.part).module}")
    module.measure(settings, Recorder(given.rows, judge=given.device == "cuda"))


if __name__ == "__main__":
    main()
