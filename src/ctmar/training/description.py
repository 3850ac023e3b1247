"""What a run is made of: settings, data, software."""

from functools import cache, lru_cache
from pathlib import Path

import torch

from ctmar.config import Network, RunSettings
from ctmar.config.own_code import own_code_sha256
from ctmar.store.code_digest import CodeDigests
from ctmar.store.pairs import PairFile
from ctmar.store.provenance import package_versions, sha256_of
from ctmar.store.run_records import Grid, Provenance, RunOrigin


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
            code_sha256=_code_sha256(),
            pairs_train_sha256=_checksum(pairs_train),
            pairs_validation_sha256=_checksum(pairs_validation) if pairs_validation is not None else None,
            initial_weights_sha256=_checksum(weights) if weights is not None else None,
            software=package_versions(["equiproj", "torch", "numpy"]),
            processor=torch.backends.cpu.get_cpu_capability(),
        ),
    )


@cache  # what is imported stays as it is while a process runs
def _code_sha256() -> str:
    return CodeDigests().command("train")


def _checksum(path: Path) -> str:
    stat = path.stat()
    return _checksum_of(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)  # the runs of a job share their files
def _checksum_of(path: Path, *state: int) -> str:
    return sha256_of(path)


def _describe_grid(pairs: Path) -> Grid:
    """The grid of the images of a pair file."""
    with PairFile(pairs) as file:
        pixels_mm = {float(pixel) for pixel in file.pixel_mm}
        return Grid(
            image_size=file.image_size,
            pixel_mm=pixels_mm.pop() if len(pixels_mm) == 1 else None,
            preset=file.provenance.get("settings", {}).get("preset"),
        )
