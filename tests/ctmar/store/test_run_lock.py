"""One process at a time works in a folder of a run, and a dead one keeps nobody out."""

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ctmar.store.run_lock as run_lock
from ctmar.errors import InputError, InterruptedWorkError
from ctmar.store.run_lock import check_held, hold_lock, is_stale, read_holder
from ctmar.store.writer import Writer, this_writer

ELSEWHERE = Writer(host="node7", machine="0123abcd", job="4711", pid=99, started=1)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "seed-0" / "lock.json"


def write(lock: Path, holder: Writer, age_seconds: float = 0.0) -> None:
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(json.dumps(dataclasses.asdict(holder)))
    then = time.time() - age_seconds
    os.utime(lock, (then, then))


def test_it_names_its_holder_and_is_gone_afterwards(lock, monkeypatch):
    with hold_lock(lock):
        assert read_holder(lock) == this_writer()
        assert this_writer().pid == os.getpid()
        with hold_lock(lock):  # measuring within a job that holds it
            check_held(lock)
        assert lock.is_file()
    assert not lock.parent.exists()  # a mistake in the settings leaves nothing
    lock.parent.mkdir()
    with hold_lock(lock):
        pass
    assert list(lock.parent.iterdir()) == []


def test_the_scheduler_s_job_is_named():
    code = "from ctmar.store.writer import this_writer; print(this_writer())"
    environment = os.environ | {"SLURM_JOB_ID": "4711"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True)
    assert done.stdout.endswith("(job 4711 of the scheduler)\n")


def hold_for_ever(lock: Path) -> None:
    with hold_lock(lock):
        time.sleep(600)


def start_holder(lock: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=hold_for_ever, args=(lock,))
    process.start()
    deadline = time.monotonic() + 60
    while read_holder(lock) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_a_second_process_waits_and_says_for_whom(lock, capfd):
    first = start_holder(lock)
    asked = iter(range(100))
    with (
        pytest.raises(InterruptedWorkError, match=f"while process {first.pid} on .* worked in .*seed-0"),
        hold_lock(lock, interrupted=lambda: next(asked) == 1),
    ):
        raise AssertionError("it must not enter")
    assert f"process {first.pid} on" in capfd.readouterr().err
    assert read_holder(lock).pid == first.pid
    first.kill()
    first.join()
    with hold_lock(lock):  # a kill -9 keeps nobody out
        assert read_holder(lock) == this_writer()


def test_the_number_of_a_dead_process_that_another_got_later(lock):
    write(lock, dataclasses.replace(this_writer(), started=this_writer().started - 1))
    assert is_stale(lock)
    with hold_lock(lock):
        check_held(lock)


def test_a_zombie_is_dead(lock):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    started = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    holder = dataclasses.replace(this_writer(), pid=process.pid, started=started)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and nobody has asked for its code
    write(lock, holder)
    assert is_stale(lock)
    process.wait()


@pytest.mark.parametrize("holder", [ELSEWHERE, None])
def test_on_another_machine_silence_decides(lock, holder):
    for age, stale in ((run_lock.PATIENCE_SECONDS - 60, False), (run_lock.PATIENCE_SECONDS + 60, True)):
        write(lock, ELSEWHERE, age)
        if holder is None:  # killed between making the file and writing it
            lock.write_text("")
            os.utime(lock, (time.time() - age,) * 2)
        assert is_stale(lock) == stale


def test_this_machine_before_it_was_started_again_is_known_sooner(lock):
    before = dataclasses.replace(this_writer(), machine="0123abcd")
    for age, stale in ((run_lock.PATIENCE_SECONDS / 3 - 30, False), (run_lock.PATIENCE_SECONDS / 3 + 30, True)):
        write(lock, before, age)
        assert is_stale(lock) == stale


def test_a_wrong_clock_of_this_machine_makes_nothing_stale(lock, monkeypatch):
    write(lock, ELSEWHERE)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert not is_stale(lock)


def test_the_holder_touches_it(lock, monkeypatch):
    monkeypatch.setattr(run_lock, "SECONDS_BETWEEN_TOUCHES", 0.02)
    with hold_lock(lock):
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 100
        while lock.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 0


def test_who_stood_still_too_long_stops_and_leaves_the_lock_of_the_other(lock):
    with hold_lock(lock):
        write(lock, ELSEWHERE)
        with pytest.raises(
            InputError, match=r"found that of process 99 on node7 \(job 4711 of the scheduler\): another"
        ):
            check_held(lock)
    assert read_holder(lock) == ELSEWHERE


def test_a_lock_that_came_to_life_is_never_out_of_its_place(lock, monkeypatch):
    write(lock, ELSEWHERE)  # seen as stale by another process, which was slow; touched since

    def seen_in_its_place(path: Path) -> bool:
        assert lock.is_file()  # else its holder cannot give it up now, and it lies there until that process ends
        return is_stale(path)

    monkeypatch.setattr(run_lock, "is_stale", seen_in_its_place)
    assert run_lock._break(lock)
    assert read_holder(lock) == ELSEWHERE
    assert [path.name for path in lock.parent.iterdir()] == ["lock.json"]


def test_one_breaks_a_lock_at_a_time_and_a_dead_one_keeps_nobody_out(lock):
    dead, breaking = dataclasses.replace(this_writer(), started=0), lock.with_name(".lock~breaking.json")
    write(lock, dead)
    write(breaking, ELSEWHERE)
    assert not run_lock._break(lock)
    assert (read_holder(lock), read_holder(breaking)) == (dead, ELSEWHERE)
    write(breaking, dead)
    with hold_lock(lock):
        assert [path.name for path in lock.parent.iterdir()] == ["lock.json"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"expected a folder at .*file, found a file"),
        hold_lock(tmp_path / "file/x.json"),
    ):
        raise AssertionError("it must not enter")


def enter_many_times(lock: Path, count: int) -> None:
    run_lock._SECONDS_BETWEEN_LOOKS = 0.001
    for _ in range(count):
        with hold_lock(lock):
            inside = lock.parent / "inside"
            inside.touch(exist_ok=False)  # fails if another is in
            inside.unlink()


@pytest.mark.slow
def test_never_two_at_once_though_holders_are_killed(lock):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=enter_many_times, args=(lock, 100)) for _ in range(4)]
    killed = [context.Process(target=hold_for_ever, args=(lock,)) for _ in range(4)]
    lock.parent.mkdir()
    for process in [*workers, *killed]:
        process.start()
    for process in killed:
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    deadline = time.monotonic() + 100
    for process in workers:
        process.join(max(0.0, deadline - time.monotonic()))
    codes = [process.exitcode for process in workers]
    for process in workers:
        process.kill()  # what hangs ends with the test
    assert codes == [0, 0, 0, 0]
    assert list(lock.parent.iterdir()) == []
