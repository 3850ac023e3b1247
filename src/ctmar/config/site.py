"""What is specific to a machine or a cluster: one file, of which no result and no re-run depends."""

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ctmar.config.parsing import read_yaml, validate_section
from ctmar.config.section import Section, UserPath


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("expected one line of printable text")
    return text


def _folder_or_variable(text: str) -> str:
    if text.startswith("$"):
        if not text[1:].isidentifier() or not text.isascii():
            raise ValueError("expected the name of an environment variable after '$'")
    elif not Path(text).is_absolute():
        raise ValueError("expected an absolute path, or '$NAME' of a variable that is set on the node")
    return _one_line(text)


Name = Annotated[str, AfterValidator(_one_line)]
NodeFolder = Annotated[str, AfterValidator(_folder_or_variable)]  # a folder of the node on which a job runs


class Site(Section):
    """A cluster or a workstation: what its scheduler is asked for, and what a job finds there."""

    partition: Name | None = Field(None, description="Partition (PBS, SGE: queue) of jobs without a GPU.")
    gpu_partition: Name | None = Field(
        None, description="Partition of jobs with a GPU; `null`: that of jobs without one."
    )
    account: Name | None = Field(None, description="Account (PBS, SGE: project) that is charged.")
    constraint: Name | None = Field(None, description="Features that nodes of jobs with a GPU must have (Slurm).")
    gpu_model: Name | None = Field(None, description="Model of the GPUs, as the scheduler calls it; `null`: any.")
    gpus_per_job: int = Field(
        1, ge=1, description="GPUs of a training job; with all GPUs of a node one job fills it with trainings."
    )
    trainings_per_gpu: int = Field(1, ge=1, description="Trainings that share a GPU, each in a process of its own.")
    gpu_memory_mb: int | None = Field(
        None, ge=1000, description="Memory of a GPU [10⁶ bytes]: no more trainings share it than fit in by their model."
    )
    mps: bool = Field(False, description="Share GPUs through NVIDIA's multi-process service, which a job starts.")
    trainings_per_cpu_job: int = Field(
        1, ge=1, description="Trainings that a job without a GPU runs at a time, each on `training.threads`."
    )
    runs_per_job: int | None = Field(
        None,
        ge=1,
        description="Runs that a job trains and measures here; `null`: `study.runs_per_job`. After a change other jobs"
        " look at the runs; what is finished is not trained again.",
    )
    maximum_memory_mb: int | None = Field(None, ge=1000, description="Memory that no job may exceed [10⁶ bytes].")
    maximum_minutes: int | None = Field(None, ge=1, description="Time limit that no job may exceed [minutes].")
    slowness: float = Field(
        1.0, gt=0, description="How many times slower a core is than that on which the model of jobs was measured."
    )
    teraflops: float = Field(
        10.0, gt=0, description="Operations a second that a GPU sustains in training [10¹²]: assumed until you measure."
    )
    scratch: NodeFolder | None = Field(
        None,
        description="Folder on the node, a path or `$NAME` of a variable that is set there: a training job copies its"
        " pair files into it once, checks their digests and removes them at its end. `null`: they are read in place.",
    )
    temporary_folder: NodeFolder | None = Field(
        None, description="`TMPDIR` of every job, a path or `$NAME`; `null`: as the node has it."
    )
    hdf5_file_locking: bool = Field(
        True, description="Whether HDF5 locks files; `false` on an NFS or Lustre that refuses locks."
    )
    modules: list[Name] = Field([], description="Environment modules that every job loads (`module load`).")
    activate: UserPath | None = Field(
        None, description="Virtual environment that every job activates, on a file system that all nodes share."
    )
    container: Name | None = Field(
        None,
        description="Image that `--sdm apptainer` runs commands in, a path to a `.sif` or `docker://…`; of the pods on"
        " Kubernetes.",
    )
    volume_claim: Name | None = Field(
        None, description="Claim of a volume that all pods on Kubernetes write to at once (ReadWriteMany)."
    )
    volume_path: NodeFolder | None = Field(
        None, description="Where it is mounted: the checkout lies below this path, here and in the pods."
    )

    @model_validator(mode="after")
    def _one_environment(self) -> "Site":
        if self.container and (self.modules or self.activate):
            raise ValueError("container: expected neither modules nor activate beside it, which are not in the image")
        return self

    def resources(self, n_gpus: int | None = None) -> dict[str, str | int]:
        """What a job asks of a scheduler beside memory and time, by the names that Snakemake's executors know.

        Args:
            n_gpus: for a job that may train on GPUs, how many; None for the others.

        Examples:
            >>> Site(partition="cpu", gpu_partition="big", gpu_model="h200").resources(2)
            {'slurm_partition': 'big', 'gpu_model': 'h200', 'gpu': 2}
            >>> Site().resources()
            {}
        """
        partition = (self.gpu_partition or self.partition) if n_gpus else self.partition
        asked: dict[str, str | int | None] = {"slurm_partition": partition, "slurm_account": self.account}
        if n_gpus:
            asked |= {"gpu_model": self.gpu_model, "constraint": self.constraint}
        asked["gpu"] = n_gpus
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def shell_lines(self) -> str:
        """What a shell does before every command of the workflow.

        Examples:
            >>> Site(hdf5_file_locking=False, temporary_folder="$BIG").shell_lines
            'export HDF5_USE_FILE_LOCKING=FALSE; export TMPDIR="${BIG:-/BIG is not set on this node}"; '
        """
        lines = []
        if self.modules:  # scripts of modules and of environments read variables that are not set
            lines += [f"set +u; module load {' '.join(map(shlex.quote, self.modules))}; set -u"]
        if self.activate:
            # absolute, because a job may start elsewhere, and not resolved, because the link may be what lasts
            script = shlex.quote(str(self.activate.absolute() / "bin" / "activate"))
            lines += [f"set +u; source {script}; set -u"]
        if not self.hdf5_file_locking:
            lines += ["export HDF5_USE_FILE_LOCKING=FALSE"]
        if self.temporary_folder:
            lines += [f"export TMPDIR={_on_the_node(self.temporary_folder)}"]
        if self.scratch:
            lines += [f"export CTMAR_SCRATCH={_on_the_node(self.scratch)}"]
        if self.mps:
            lines += ["export CTMAR_MPS=1"]
        return "".join(f"{line}; " for line in lines)


def _on_the_node(folder: str) -> str:
    if not folder.startswith("$"):
        return shlex.quote(folder)
    name = folder[1:]
    # a folder that cannot be: the command names it and what is missing
    return f'"${{{name}:-/{name} is not set on this node}}"'


def load_site(path: Path | str) -> Site:
    """Read the file of a site.

    Raises:
        InputError: it is missing, is not YAML, or has wrong keys or values.
    """
    return validate_section(Site, read_yaml(Path(path)), str(path), folder=Path(path).parent)
