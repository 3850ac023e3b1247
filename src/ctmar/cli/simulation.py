"""Commands that simulate metal artefacts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctmar.cli.options import Output, Settings, Threads
from ctmar.cli.progress import progress


def simulate(
    image: Annotated[Path, typer.Option(help="Slice of linear attenuation [1/cm]: HDF5 field `image`, or .npy.")],
    mask: Annotated[Path, typer.Option(help="Metal mask of 416² or 512² pixels: .npy or .png.")],
    output: Output,
    preset: Annotated[str, typer.Option(help="Geometry: benchmark or physical.")] = "benchmark",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the photon noise.")] = 0,
    pixel_mm: Annotated[
        float | None, typer.Option(min=0, help="Pixel of the image [mm]; preset physical only.")
    ] = None,
    settings: Settings = "{}",
    threads: Threads = 1,
) -> None:
    """Simulate the artefacts of one mask in one slice, in the benchmark's own field names."""
    from ctmar.config import Simulation, parse_settings
    from ctmar.simulation.files import simulate_files

    simulate_files(
        image,
        mask,
        output,
        preset=preset,
        seed=seed,
        pixel_mm=pixel_mm,
        settings=parse_settings(Simulation, settings),
        threads=threads,
    )


def simulate_subset(
    slices: Annotated[Path, typer.Argument(help="Slices made by `ctmar ingest`.")],
    split: Annotated[Path, typer.Option(help="Split made by `ctmar split`.")],
    subset: Annotated[Literal["train", "validation", "test"], typer.Option(help="Which patients.")],
    output: Output,
    settings: Settings = "{}",
    threads: Threads = 1,
) -> None:
    """Draw metal masks for every slice of a subset and simulate their artefacts."""
    from ctmar.config import Simulation, parse_settings
    from ctmar.simulation.subset import simulate_subset as simulate_all

    with progress(f"simulate {subset}") as show:
        simulate_all(slices, split, subset, output, parse_settings(Simulation, settings), threads, show)


COMMANDS = (simulate, simulate_subset)
