"""The command that corrects a user's own CT."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Extensions, RunPath, Threads
from ctmar.cli.progress import progress


class ScanPreset(StrEnum):
    """Names of the simulated scans."""

    benchmark = "benchmark"
    physical = "physical"


class PredictionDevice(StrEnum):
    """Where the network runs."""

    cpu = "cpu"
    cuda = "cuda"


def predict(
    given: Annotated[
        Path, typer.Argument(metavar="FOLDER_OR_FILE", help="DICOM file, or folder or archive (zip, tar) of such.")
    ],
    run: RunPath,
    output: Annotated[Path, typer.Option(help="Folder for the derived images; new or empty.")],
    quarantine: Annotated[
        Path | None, typer.Option(help="CSV of files that are refused, with reason and remedy.")
    ] = None,
    metal_hu: Annotated[
        float | None, typer.Option(help="Metal is what lies above this [HU]; default: that of ingest.metal_hu, 2500.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Metal instead of the threshold, for one series: NIfTI, or .npy or .mat with one mask for each image "
            "from foot to head; for a single image also .png."
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side in pixels of the grid the network was trained on; default: run.json's.")
    ] = None,
    pixel_mm: Annotated[
        float | None,
        typer.Option(help="Pixel of that grid in mm; default: run.json's, else the longer side of a slice is fitted."),
    ] = None,
    preset: Annotated[
        ScanPreset | None, typer.Option(help="Simulated scan of the training data; default: run.json's or benchmark.")
    ] = None,
    keep_identity: Annotated[
        bool,
        typer.Option(
            "--keep-identity",
            help="Copy patient, study and frame of reference, so that a viewer shows the result beside its source. "
            "Without it the patient is a pseudonym, and dates, names, free text and private tags are left out.",
        ),
    ] = False,
    metal_only: Annotated[bool, typer.Option("--metal-only", help="Leave out images without metal.")] = False,
    any_coarseness: Annotated[
        bool,
        typer.Option(
            "--any-coarseness",
            help="Correct also images whose pixels are less than 1/2.5 of those the network was trained on.",
        ),
    ] = False,
    salt_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the secret salt of pseudonyms and identifiers; default: your own, as for `ctmar ingest`."
        ),
    ] = None,
    device: Annotated[PredictionDevice, typer.Option(help="Where the network runs.")] = PredictionDevice.cpu,
    threads: Threads = 1,
    extension: Extensions = None,
) -> None:
    """Reduce metal artefacts in CT: DICOM in, derived DICOM out. Research software, not a medical device.

    Images are written as OUTPUT/PATIENT/SERIES/0000.dcm, by default without anything in the header that
    identifies the patient; a head scan can still show a face. Only pixels outside metal change.
    """
    from ctmar.config import Ingest
    from ctmar.prediction.choices import PredictionChoices
    from ctmar.prediction.predict import predict as predict_folder
    from ctmar.store.run_folder import RunFolder

    settings = PredictionChoices(
        metal_hu=Ingest().metal_hu if metal_hu is None else metal_hu,
        mask=mask,
        image_size=image_size,
        pixel_mm=pixel_mm,
        preset=preset.value if preset else None,
        salt_file=salt_file,
        keep_identity=keep_identity,
        metal_only=metal_only,
        any_coarseness=any_coarseness,
        device=device.value,
        threads=threads,
    )
    with progress("predict") as show:
        summary = predict_folder(given, RunFolder(run), output, settings, quarantine=quarantine, progress=show)
    typer.echo(f"predict: {summary}", err=True)


COMMANDS = (predict,)
