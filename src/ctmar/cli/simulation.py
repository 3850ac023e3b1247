"""Commands that simulate metal artefacts."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from ctmar.cli.options import Output, Settings, Threads
from ctmar.cli.progress import progress

Device = Annotated[
    Literal["cpu", "cuda"],
    typer.Option(help="numba on the CPU, or torch on a GPU; equal to 1e-4, byte for byte on the same device only."),
]


def simulate(
    image: Annotated[Path, typer.Option(help="Slice of linear attenuation [1/cm]: HDF5 field `image`, or .npy.")],
    mask: Annotated[Path, typer.Option(help="Metal mask of 416² or 512² pixels: .png, .npy, .nii, .nii.gz or .mat.")],
    output: Output,
    preset: Annotated[str, typer.Option(help="Geometry: benchmark or physical.")] = "benchmark",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the photon noise.")] = 0,
    pixel_mm: Annotated[
        float | None, typer.Option(min=0, help="Pixel of the image in mm; preset physical only.")
    ] = None,
    mask_index: Annotated[int | None, typer.Option(help="Which mask of a file with several, from 0.")] = None,
    settings: Settings = "{}",
    threads: Threads = 1,
    device: Device = "cpu",
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
        mask_index=mask_index,
        device=device,
    )


def simulate_subset(
    slices: Annotated[Path, typer.Argument(help="Slices made by `ctmar ingest`.")],
    split: Annotated[Path, typer.Option(help="Split made by `ctmar split`.")],
    subset: Annotated[Literal["train", "validation", "test"], typer.Option(help="Which patients.")],
    output: Output,
    settings: Settings = "{}",
    threads: Threads = 1,
    shard: Annotated[int, typer.Option(min=0, help="Which shard to make, from 0.")] = 0,
    n_shards: Annotated[int, typer.Option(min=1, help="Shards of the subset, for `ctmar join-pairs`.")] = 1,
    device: Device = "cpu",
) -> None:
    """Simulate metal artefacts for every slice of a subset, or for one shard of it, after an estimate of time and disk.

    At 416² it takes 0.35 GB of memory and 0.03 GB for each further thread, whatever the number of slices.
    """
    from ctmar.config import Simulation, parse_settings
    from ctmar.estimate.simulation_cost import check_disk, estimate_work
    from ctmar.simulation.subset import Work
    from ctmar.simulation.subset import simulate_subset as simulate_all

    name = f"simulate {subset}" + (f" {shard} of {n_shards}" if n_shards > 1 else "")

    def announce(work: Work) -> None:
        expected = estimate_work(work)
        print(f"{name}: {expected}", file=sys.stderr, flush=True)
        check_disk(expected, output)

    with progress(name) as show:
        simulate_all(
            slices,
            split,
            subset,
            output,
            parse_settings(Simulation, settings),
            threads=threads,
            progress=show,
            shard=shard,
            n_shards=n_shards,
            device=device,
            announce=announce,
        )


def simulate_signals(
    slices: Annotated[Path, typer.Argument(help="Slices made by `ctmar ingest`.")],
    split: Annotated[Path, typer.Option(help="Split made by `ctmar split`.")],
    output: Output,
    settings: Settings = "{}",
    threads: Threads = 1,
    device: Device = "cpu",
) -> None:
    """Simulate some test images twice, with low-contrast discs near the metal and without, for detectability."""
    from ctmar.config import Simulation, parse_settings
    from ctmar.simulation.signals import simulate_signals as simulate_all

    chosen = parse_settings(Simulation, settings)
    with progress("simulate signals") as show:
        simulate_all(slices, split, output, chosen, threads=threads, progress=show, device=device)


def join_pairs(
    shards: Annotated[list[Path], typer.Argument(help="All shards of one subset, in the folder of OUTPUT or below.")],
    output: Output,
) -> None:
    """Join shards of pairs into one file that refers to them; keep it and the shards together."""
    from ctmar.store.join import join_pair_files

    join_pair_files(shards, output)


def estimate_simulation(
    slices: Annotated[int, typer.Option(min=1, help="Slices.")] = 1000,
    masks: Annotated[int, typer.Option(min=1, help="Metal masks of each slice.")] = 90,
    image_size: Annotated[int, typer.Option(min=32, max=1024, help="Rows and columns, in pixels.")] = 416,
    nmar: Annotated[bool, typer.Option(help="Compute NMAR too.")] = False,
    settings: Settings = "{}",
    threads: Threads = 1,
    device: Device = "cpu",
) -> None:
    """Tell pairs, time and disk of a simulation, measured on one pair of a synthetic slice; no data needed."""
    from ctmar.config import Simulation, parse_settings
    from ctmar.estimate.simulation_cost import estimate, measure_pair, synthetic_slice
    from ctmar.simulation.operators import operators_on

    chosen = parse_settings(Simulation, settings)
    cost = measure_pair(chosen, operators_on(device), synthetic_slice(image_size), None, nmar)
    print(estimate(cost, slices, masks, threads, chosen.store_sinograms))


COMMANDS = (simulate, simulate_subset, simulate_signals, join_pairs, estimate_simulation)
