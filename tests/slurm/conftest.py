"""A toy Slurm for these tests, a study that ran on it undisturbed, and what Slurm remembers of it all at the end."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.slurm.study_on_slurm import ASKING_FOR_A_GPU, RESULTS, StudyOnSlurm
from tests.slurm.toy_cluster import ToyCluster, why_not

HISTORY = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[ToyCluster]:
    """A Slurm that is up; it ends with the tests, however they end."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    cluster = ToyCluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
        request.config.stash[HISTORY] = cluster.history()
    finally:
        cluster.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what became of every job."""
    history = config.stash.get(HISTORY, "")
    if history:
        terminalreporter.section("what Slurm did")
        terminalreporter.write(history)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the toy's site."""
    file = tmp_path_factory.mktemp("site") / "site.yaml"
    file.write_text("{partition: cpu, gpu_partition: gpu}\n")
    return file


@pytest.fixture(scope="session")
def prepared(cluster: ToyCluster, site: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyOnSlurm:
    """A study of which everything is done that needs no trained network; its folder has a name to stumble over."""
    folder = tmp_path_factory.mktemp("studies") / "λ⊥ of the undisturbed study"
    folder.mkdir()
    study = StudyOnSlurm(folder, site)
    study.run("--omit-from", "train")
    return study


@pytest.fixture(scope="session")
def copy_of(prepared: StudyOnSlurm, site: Path) -> Callable[..., StudyOnSlurm]:
    """Makes a study of a name that begins where the prepared one stands."""

    def copied(name: str, options: tuple[str, ...] = ASKING_FOR_A_GPU) -> StudyOnSlurm:
        folder = prepared.folder.with_name(f"λ⊥ {name}")
        shutil.copytree(prepared.folder, folder, symlinks=True)
        shutil.rmtree(folder / RESULTS / "mlflow", ignore_errors=True)  # a mirror knows its place
        return StudyOnSlurm(folder, site, options)

    return copied
