"""What is asked of a scheduler for some work, by coefficients that were measured, and margins.

Those of a CPU were measured beside real jobs on one core of the machine on which this was written; ``python
benchmarks/job_memory.py`` prints model and measurement side by side. Those of a GPU are assumptions: none was at hand.
"""

from dataclasses import dataclass
from math import ceil

from ctmar.estimate.work_counts import Counts

PROCESS_MB = 340.0  # Python, torch and the packages of an evaluation
STARTING_SECONDS = 6.0  # of a job: imports, digests, the test pairs
_MB_PER_CALL = 0.05  # kernels and workspaces that oneDNN keeps for each convolution
# times the bytes that live at once: what convolutions borrow, more of it for whole slices, and what the C library keeps
STEP_FACTOR, PREDICTION_FACTOR = 1.35, 3.4
_SECONDS_PER_FLOP = 1 / 60e9
_SECONDS_PER_BYTE = 1 / 8e9
_SECONDS_PER_CALL = 20e-6
_SECOND_THREAD = 0.6  # of what the first is worth

GPU_PROCESS_MB = 3500.0  # host memory of a process that uses CUDA
GPU_CONTEXT_MB = 700.0  # GPU memory of a context of CUDA and of the workspaces of its libraries
COMPILE_MB, COMPILE_SECONDS = 4000.0, 300.0  # host memory and time of `torch.compile`
_GPU_SECONDS_PER_CALL = 10e-6

_MEMORY_MARGIN, _TIME_MARGIN = 1.25, 3.0  # how much more is asked for than is expected
_LEAST_MB = 1000  # Snakemake itself, twice, on a node of Slurm
_LEAST_MINUTES = 10  # file systems are slow to answer


@dataclass(frozen=True)
class Demand:
    """Memory [10⁶ bytes], minutes, and memory of a GPU [10⁶ bytes]."""

    memory_mb: int
    minutes: int
    gpu_memory_mb: int = 0


def asked(memory_mb: float, seconds: float, gpu_memory_mb: float = 0.0) -> Demand:
    """What is asked for where so much is expected, in round numbers.

    Examples:
        >>> asked(350, 30), asked(9000, 7200)
        (Demand(memory_mb=1000, minutes=12, gpu_memory_mb=0), Demand(memory_mb=11300, minutes=370, gpu_memory_mb=0))
    """
    memory = 100 * ceil(max(_LEAST_MB, _MEMORY_MARGIN * memory_mb) / 100)
    return Demand(memory, _LEAST_MINUTES + ceil(_TIME_MARGIN * seconds / 60), 100 * ceil(gpu_memory_mb / 100))


def memory_of(work: Counts, factor: float) -> float:
    """Memory of some work [10⁶ bytes] that takes so many times the bytes that live at once."""
    return factor * work.peak_bytes / 1e6 + _MB_PER_CALL * work.calls


def seconds_on_a_cpu(work: Counts, threads: int) -> float:
    """Time of some work on so many threads."""
    alone = _SECONDS_PER_FLOP * work.flops + _SECONDS_PER_BYTE * work.bytes_moved + _SECONDS_PER_CALL * work.calls
    return alone / (1 + _SECOND_THREAD * (threads - 1))


def seconds_on_a_gpu(work: Counts, teraflops: float) -> float:
    """Time of some work where one GPU sustains so many 10¹² operations a second."""
    return work.flops / (teraflops * 1e12) + _GPU_SECONDS_PER_CALL * work.calls
