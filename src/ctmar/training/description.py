"""What a run is made of: settings, data, software."""

from pathlib import Path

import torch

from ctmar.config import Network, RunSettings
from ctmar.config.own_code import own_code_sha256
from ctmar.store.code_digest import CodeDigests
from ctmar.store.pairs import PairFile
from ctmar.store.provenance import package_versions, sha256_of
from ctmar.store.run_folder import Grid, Provenance, RunOrigin


def describe_run(pairs_train: Path, pairs_validation: Path | None, settings: RunSettings) -> RunOrigin:
    """Settings, checksums of pair files and initial weights, and versions; no path, user or time.

    Without a validation file its checksum is None: the pairs held out follow from the training file.
    """
    weights = settings.network.weights
    return RunOrigin(
        run=settings.run,
        network=Network.model_validate(settings.network.published()),
        training=settings.training,
        patients=settings.patients,
        group=settings.group,
        grid=_describe_grid(pairs_train),
        provenance=Provenance(
            own_code_sha256=own_code_sha256([settings.group, settings.network.architecture, settings.run.norm]),
            code_sha256=CodeDigests().command("train"),
            pairs_train_sha256=sha256_of(pairs_train),
            pairs_validation_sha256=sha256_of(pairs_validation) if pairs_validation is not None else None,
            initial_weights_sha256=sha256_of(weights) if weights is not None else None,
            software=package_versions(["equiproj", "torch", "numpy"]),
            processor=torch.backends.cpu.get_cpu_capability(),
        ),
    )


def _describe_grid(pairs: Path) -> Grid:
    """The grid of the images of a pair file."""
    with PairFile(pairs) as file:
        pixels_mm = {float(pixel) for pixel in file.pixel_mm}
        return Grid(
            image_size=file.image_size,
            pixel_mm=pixels_mm.pop() if len(pixels_mm) == 1 else None,
            preset=file.provenance.get("settings", {}).get("preset"),
        )
