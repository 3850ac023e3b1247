"""What a scheduler can do to a study: whatever it was, the study ends with the numbers of the one that was left alone.

All studies run side by side: the first node is for those whose jobs are stopped, the second for the one that loses it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import sleep

import pytest
from tests.slurm.study_on_slurm import ASKING_FOR_A_GPU, RESULTS, StudyOnSlurm, training_processes, wait_for
from tests.slurm.toy_cluster import ToyCluster

from ctmar.store.attempt_records import Attempt, AttemptsFile

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]

RUN, JOB = "dncnn/plain/seed-0", "dncnn-asymmetry-0-0"
OTHER_RUN, OTHER_JOB = "dncnn/projection,norm=frobenius,lam_perp=0.1/seed-0", "dncnn-asymmetry-0-1"
SUMMARY = str(RESULTS / "summary" / "models.csv")
ON_THE_FIRST_NODE = ("--default-resources", "constraint=c1")
# what a first attempt is given, and a second
RAISED_TIME = (f"train:runtime=10 if attempt > 1 else 2 if wildcards.job == '{OTHER_JOB}' else 1",)
RAISED_MEMORY = ("train:mem_mb=400 if attempt == 1 else 4000",)
SECONDS_TO_THE_MARGIN = 62  # ctmar.jobs.time_limit: a job of two minutes stops a minute before its end
SECONDS_OF_SILENCE = 12  # a command of Slurm tries for nine seconds before it gives up


@dataclass
class Stories:
    """What is done to each study, and what the stories tell each other."""

    cluster: ToyCluster
    limited_is_held: threading.Event = field(default_factory=threading.Event)
    over: dict[str, threading.Event] = field(default_factory=lambda: {name: threading.Event() for name in OPTIONS})
    devices: list[str] = field(default_factory=list)

    def undisturbed(self, study: StudyOnSlurm) -> None:
        """Nothing; but it is seen which devices its two trainings have while both run."""
        study.start()
        with study.caught(JOB, OTHER_JOB) as jobs:
            numbers = {job.number for job in jobs}
            running = [of for _, of in training_processes() if of.get("SLURM_JOB_ID") in numbers]
            self.devices += [of.get("CUDA_VISIBLE_DEVICES", "none") for of in running]
        study.finish()

    def time_limit(self, study: StudyOnSlurm) -> None:
        """First attempts have little time: one is held for half of it, one until Slurm ends it."""
        study.start(SUMMARY)
        with study.held_in_training((RUN, JOB), (OTHER_RUN, OTHER_JOB)) as (job, other):
            self.limited_is_held.set()
            began = self.attempts(study, OTHER_JOB)[0].start.time
            seconds = (datetime.now(UTC) - datetime.strptime(began, "%Y-%m-%dT%H:%M:%S%z")).total_seconds()
            sleep(max(0, SECONDS_TO_THE_MARGIN - seconds))
            other.send(signal.SIGCONT)
            wait_for("the time limit", lambda: self.state_of(study, job.number) == "TIMEOUT", seconds=150, every=0.5)
        study.finish()

    def cancelled(self, study: StudyOnSlurm) -> None:
        """Somebody cancels a job."""
        study.start(SUMMARY)
        with study.held_in_training((RUN, JOB)) as (job,):
            self.cluster.ask("scancel", job.number)
            wait_for("the cancelled job", lambda: self.state_of(study, job.number) == "CANCELLED")
        study.finish()

    def out_of_memory(self, study: StudyOnSlurm) -> None:
        """The first attempt is given less memory than torch takes."""
        study.run(SUMMARY)

    def controller_killed(self, study: StudyOnSlurm) -> None:
        """Snakemake is killed, and its jobs go on; then comes what the README says."""
        study.start(SUMMARY)
        with study.held_in_training((RUN, JOB)):  # a job let go before it is cancelled can be done first
            study.kill()
            recovered = study.ctmar("recover", "--end", str(study.folder))
        assert recovered.returncode == 0, recovered.stdout + recovered.stderr
        study.run(SUMMARY)

    def node_down(self, study: StudyOnSlurm) -> None:
        """A node is lost with its job; then Slurm is silent for a while, as the retry runs."""
        study.start(SUMMARY)
        with study.held_in_training((RUN, JOB)) as (job,):
            self.cluster.ask("scontrol", "update", f"nodename={job.node}", "state=down", "reason=test")
            wait_for("the job of the lost node", lambda: self.state_of(study, job.number) == "NODE_FAIL")
        with study.held_in_training((RUN, JOB)):
            for name in set(OPTIONS) - {"node_down"}:  # which would miss Slurm, too
                self.over[name].wait(300)
            self.cluster.stop_daemon("slurmctld")
            sleep(SECONDS_OF_SILENCE)
            self.cluster.start_controller()
        study.finish()

    def attempts(self, study: StudyOnSlurm, job: str) -> list[Attempt]:
        """What a study has written down of the attempts of a job."""
        return AttemptsFile(study.folder / RESULTS / "jobs" / f"{job}.attempts.jsonl").read()

    def state_of(self, study: StudyOnSlurm, number: str) -> str:
        """The state of one job of a study."""
        return next(job.state for job in study.jobs("train") if job.number == number)


FAULTS = ("time_limit", "cancelled", "out_of_memory", "controller_killed", "node_down")
OPTIONS = {
    "undisturbed": (*ON_THE_FIRST_NODE, *ASKING_FOR_A_GPU),
    "time_limit": (*ON_THE_FIRST_NODE, *ASKING_FOR_A_GPU, *RAISED_TIME),
    "cancelled": (*ON_THE_FIRST_NODE, *ASKING_FOR_A_GPU),
    "out_of_memory": (*ON_THE_FIRST_NODE, *ASKING_FOR_A_GPU, *RAISED_MEMORY),
    "controller_killed": (*ON_THE_FIRST_NODE, *ASKING_FOR_A_GPU),
    "node_down": ASKING_FOR_A_GPU,
}


@pytest.fixture(scope="module")
def stories(cluster: ToyCluster) -> Stories:
    return Stories(cluster)


@pytest.fixture(scope="module")
def ended(stories: Stories, copy_of: Callable[..., StudyOnSlurm]) -> Iterator[Callable[[str], StudyOnSlurm]]:
    """Waits for a study to end, and gives it; or says what went wrong with it."""
    studies = {name: copy_of(name, options) for name, options in OPTIONS.items()}

    def told(name: str) -> StudyOnSlurm:
        if name not in ("undisturbed", "time_limit"):  # a minute is short on a busy machine
            wait_for(
                "the study with a time limit",
                lambda: stories.limited_is_held.is_set() or stories.over["time_limit"].is_set(),
                300,
            )
        try:
            getattr(stories, name)(studies[name])
        finally:
            studies[name].kill()
            stories.over[name].set()
        return studies[name]

    with ThreadPoolExecutor(len(OPTIONS)) as pool:
        futures: dict[str, Future[StudyOnSlurm]] = {name: pool.submit(told, name) for name in OPTIONS}
        yield lambda name: futures[name].result()


def test_the_report_is_written(ended):
    page = ended("undisturbed").folder / "reports" / "toy" / "index.html"
    assert page.stat().st_size > 100_000


def test_every_job_asks_for_memory_and_time(ended, prepared):
    jobs = [*prepared.jobs(""), *ended("undisturbed").jobs("")]
    assert len(jobs) > 10
    # none asked for is all that the node has
    assert [job.rule for job in jobs if job.memory == "0" or job.limit == "UNLIMITED"] == []


def test_slurm_was_silent_for_long_enough_to_be_missed(ended):
    assert "Slurm does not answer" in ended("node_down").printed()


def test_jobs_ask_for_a_gpu_and_two_at_once_see_different_ones(ended, stories):
    study = ended("undisturbed")
    assert {job.node for job in study.jobs("train")} == {"c1"}
    assert len(set(stories.devices)) == 2
    assert set(stories.devices) <= {"0", "1", "2", "3"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_numbers_are_those_of_the_undisturbed_study(ended, fault):
    expected = ended("undisturbed").numbers()
    assert len(expected) > 10
    assert ended(fault).numbers() == expected


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        ("time_limit", ["TIMEOUT", "COMPLETED"]),
        ("cancelled", ["CANCELLED", "COMPLETED"]),
        ("out_of_memory", ["FAILED", "COMPLETED"]),
        ("controller_killed", ["CANCELLED", "COMPLETED"]),
        ("node_down", ["NODE_FAIL", "COMPLETED"]),
    ],
)
def test_one_attempt_is_lost_and_one_more_is_enough(ended, fault, states):
    assert [job.state for job in ended(fault).jobs(f"train_wildcards_{JOB}")] == states


@pytest.mark.parametrize(("job", "outcome"), [(JOB, "vanished"), (OTHER_JOB, "out of time")])
def test_what_became_of_a_job_with_a_time_limit_is_written_down(ended, stories, job, outcome):
    outcomes = [attempt.outcome for attempt in stories.attempts(ended("time_limit"), job)]
    assert outcomes == [outcome, "finished"]


def test_a_time_limit_raises_time_and_a_kill_raises_memory(ended):
    first, second = ended("time_limit").jobs(f"train_wildcards_{OTHER_JOB}")
    assert (first.limit, second.limit) == ("2:00", "10:00")
    assert first.memory == second.memory
    first, second = ended("out_of_memory").jobs(f"train_wildcards_{JOB}")
    assert first.limit == second.limit
    assert (first.memory, second.memory) == ("400M", "4000M")


def test_what_was_saved_is_not_done_again(ended):
    log = (ended("cancelled").folder / "logs" / "toy" / "train" / f"{JOB}.log").read_text(errors="replace")
    first = next(line for line in log.replace("\r", "\n").splitlines() if f"train {JOB}: " in line)
    n_steps = int(first.split(f"train {JOB}: ")[1].split("/")[0])
    assert n_steps >= 20  # an epoch
