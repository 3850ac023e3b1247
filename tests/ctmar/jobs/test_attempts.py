"""What an attempt leaves behind, and what the next one is given for it."""

import pytest
import torch

from ctmar.errors import InputError, InterruptedWorkError
from ctmar.jobs.attempts import error_before, raised, start_attempt
from ctmar.jobs.endings import TryAgainError, recorded
from ctmar.models.device import MissingDeviceError
from ctmar.store.attempt_records import AttemptsFile, End, Granted

GIVEN = Granted(settings="a", memory_mb=1000, minutes=60)


@pytest.fixture
def file(tmp_path):
    return AttemptsFile.beside(tmp_path / "jobs" / "dncnn,asymmetry=0.4,0.sha256")


def asked(file, settings="a"):
    """Memory and time of the next attempt, by a model of 1000 MB and 60 minutes."""
    attempts = file.read()
    return raised(1000, attempts, settings, "memory_mb"), raised(60, attempts, settings, "minutes")


def attempt(file, error=None, granted=GIVEN):
    try:
        with recorded(file, granted):
            if error is not None:
                raise error
    except (Exception, KeyboardInterrupt) as raised_error:
        return raised_error
    return None


@pytest.mark.parametrize(
    ("error", "outcome", "next_one"),
    [
        (None, "finished", (1000, 60)),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory", (2000, 60)),
        (MemoryError(), "out of memory", (2000, 60)),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), "out of memory", (2000, 60)),
        (InterruptedWorkError("after step 3"), "stopped", (1000, 60)),
        (KeyboardInterrupt(), "stopped", (1000, 60)),
        (OSError(28, "No space left on device"), "machine", (1000, 60)),
        (MissingDeviceError("training.device: expected a GPU"), "machine", (1000, 60)),
        (InputError("training.patch_size: expected at most 64"), "error", (1000, 60)),
        (RuntimeError("a mistake of ours"), "error", (1000, 60)),
    ],
)
def test_every_end_is_written_down_and_raises_what_was_not_enough(file, error, outcome, next_one):
    came_through = attempt(file, error)
    assert [one.outcome for one in file.read()] == [outcome]
    assert asked(file) == next_one
    assert asked(file, "other settings") == (1000, 60)
    again = outcome in ("machine", "out of memory")
    assert isinstance(came_through, TryAgainError) if again else came_through is error


def test_a_stop_near_the_limit_raises_time_alone(file, monkeypatch):
    now = iter([0.0, 3500.0, 3500.0])
    monkeypatch.setattr("ctmar.jobs.attempts.time.monotonic", lambda: next(now))
    attempt(file, InterruptedWorkError("after step 3"))
    assert file.read()[0].outcome == "out of time"
    assert asked(file) == (1000, 120)


def test_without_a_limit_no_stop_is_out_of_time(file, monkeypatch):
    now = iter([0.0, 1e6, 1e6])
    monkeypatch.setattr("ctmar.jobs.attempts.time.monotonic", lambda: next(now))
    attempt(file, InterruptedWorkError("after step 3"), Granted(settings="a"))
    assert file.read()[0].outcome == "stopped"


def test_a_start_without_an_end_vanished_and_raises_memory_up_to_a_bound(file):
    expected = [2000, 4000, 8000, 8000]
    granted = 1000
    for memory in expected:
        start_attempt(file, GIVEN.model_copy(update={"memory_mb": granted}))
        assert asked(file) == (memory, 60)
        granted = memory


def test_what_finished_needs_no_more(file):
    start_attempt(file, GIVEN)
    attempt(file)
    assert asked(file) == (1000, 60)


def test_a_line_cut_off_by_a_kill_hides_no_other(file):
    start_attempt(file, GIVEN)
    with file.path.open("a") as stream:
        stream.write('{"event": "end", "attempt": "x')
    attempt(file)
    assert [one.outcome for one in file.read()] == ["vanished", "finished"]


def test_an_end_without_a_start_is_nobodys(file):
    file.append(End(attempt="another", outcome="finished", message="", seconds=1.0))
    assert file.read() == []


def test_snakemake_does_not_repeat_an_error_that_will_come_again(file):
    attempt(file, InputError("the mistake"))
    second = GIVEN.model_copy(update={"number": 2})
    assert error_before(file.read(), second) == "the mistake"
    came_through = attempt(file, granted=second)  # its block would have succeeded
    assert isinstance(came_through, InputError)
    assert str(came_through) == "the mistake"
    # somebody who starts Snakemake again, or changed a setting, wants it tried
    assert attempt(file, granted=GIVEN) is None
    assert attempt(file, granted=second.model_copy(update={"settings": "b"})) is None


def test_a_fault_of_the_machine_is_tried_again(file):
    attempt(file, OSError(28, "No space left on device"))
    assert attempt(file, granted=GIVEN.model_copy(update={"number": 2})) is None
