"""Commands that publish a study: its provenance, a bundle of it, and a re-run beside a bundle."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ctmar.cli.options import Output


def checksums(
    folders: Annotated[list[Path], typer.Argument(help="Folders whose HDF5 files are listed.")], output: Output
) -> None:
    """List the slices and pairs of a study with their SHA-256, by their names below what holds all the folders."""
    from ctmar.store.provenance import write_checksums

    files = sorted({path for folder in folders for path in folder.glob("*.h5")})
    write_checksums(output, Path(os.path.commonpath(folders)), files)


def provenance(
    results: Annotated[Path, typer.Argument(help="Folder of a finished study's results.")],
    config: Annotated[Path, typer.Option(help="The study's configuration, defaults filled in (YAML).")],
    reports: Annotated[Path, typer.Option(help="Folder of its report.")],
    output: Output,
    inputs: Annotated[Path, typer.Option(help="Folder for copies of what the study was given.")],
    sources: Annotated[Path | None, typer.Option(help="List of downloaded sources with their licences.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Manifest of the Imaging Data Commons.")] = None,
    own_code: Annotated[
        list[Path] | None, typer.Option(help="File of `extensions`; it is read and not run. May be repeated.")
    ] = None,
) -> None:
    """Write where a study came from: code, configuration, environment, machine, checksums; keep what it was given."""
    from ctmar.bundles.study_provenance import Given, describe_study, write_study_provenance
    from ctmar.config import load_config

    given = Given(sources, manifest, own_code or ())
    given.keep(inputs)
    write_study_provenance(describe_study(results, load_config(config), reports, given), output)


def bundle(
    results: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a finished study, results/NAME.")],
    output: Annotated[Path, typer.Option(help="A file NAME.zip, or a new folder; it appears whole or not at all.")],
    reports: Annotated[
        Path | None, typer.Option(help="Folder of its report; by default reports/NAME beside results/NAME.")
    ] = None,
    author: Annotated[list[str] | None, typer.Option(help="Who publishes it; may be repeated.")] = None,
    licence: Annotated[str, typer.Option(help="Address of the licence.")] = "https://spdx.org/licenses/MIT",
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Of CT of your own: its report too, which shows slices.")
    ] = False,
    allow: Annotated[
        list[str] | None, typer.Option(help="A name that may stand in it although user or host are called so.")
    ] = None,
) -> None:
    """Make of a finished study what can be published: an RO-Crate without patient data and without your paths.

    Configuration, tables, weights, report, cards, code, environment, provenance and checksums. The same study gives
    the same bytes.
    """
    from ctmar.bundles.bundle_contents import PublishedStudy
    from ctmar.bundles.bundle_writer import write_bundle
    from ctmar.bundles.crate import Publication

    shown = reports or results.absolute().parents[1] / "reports" / results.absolute().name
    study = PublishedStudy(results, shown, with_images=with_images)
    n_bytes = write_bundle(study, output, Publication(author or (), licence), allow or ())
    typer.echo(f"wrote {output}, {n_bytes / 1e6:.1f} MB")


def reproduce(
    bundle: Annotated[Path, typer.Argument(help="Bundle of `ctmar bundle`: a folder or a file .zip.")],
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Results of a re-run, results/NAME, or another bundle of the study. May be repeated."),
    ] = None,
    tolerance_db: Annotated[float, typer.Option(min=0, help="Decibels that the PSNR of a model may differ by.")] = 0.2,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where the comparison goes as JSON; as results/NAME/kernels.json the report of NAME shows it."
        ),
    ] = None,
) -> None:
    """Check a bundle, make its summary again from its runs, and say what of a re-run differs and by how much.

    Nothing is trained, and nothing of the bundle runs. Exit code 0: equal, or within the tolerance; 3: beyond it; 4: a
    verdict turned, and not by step times alone; 2: the bundle is damaged.
    """
    from ctmar.bundles.reproduction import reproduce as compare
    from ctmar.bundles.reproduction_text import Outcome, outcome, text
    from ctmar.evaluation.kernels import write_comparison

    found = compare(bundle, against or ())
    typer.echo(text(found, bundle, tolerance_db))
    if output is not None and found.comparison is not None:
        write_comparison(found.comparison, output)
    if (code := outcome(found, tolerance_db)) is not Outcome.SAME:
        raise typer.Exit(code.value)


COMMANDS = (checksums, provenance, bundle, reproduce)
