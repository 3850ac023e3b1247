import platform
import subprocess
import sys
import threading

import pytest

from ctmar.long_work import ahead, thread_pool


@pytest.mark.parametrize("n_ahead", [0, 1, 3, 100])
def test_jobs_come_in_order_with_just_so_many_drawn_ahead(n_ahead):
    drawn = []

    def jobs():
        for number in range(10):
            drawn.append(number)
            yield number

    for number, job in enumerate(ahead(jobs(), n_ahead)):
        assert job == number
        assert len(drawn) == min(number + 1 + n_ahead, 10)
    assert number == 9


def test_after_an_error_nothing_waiting_is_begun():
    running, may_end, begun, waiting = threading.Event(), threading.Event(), [], []

    def first():
        running.set()
        may_end.wait(100)

    def work():
        with thread_pool(1) as pool:
            pool.submit(first)
            waiting.extend(pool.submit(begun.append, number) for number in range(5))
            assert running.wait(100)
            threading.Timer(0.2, may_end.set).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert begun == []
    assert all(job.cancelled() for job in waiting)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this knob")
def test_memory_that_was_freed_is_used_again():
    """Page faults of arrays that come and go: of a process that keeps them, and of one that is not told to."""
    come_and_go = "; [numpy.ones(2**18) for _ in range(8)]" * 20
    faults = "resource.getrusage(resource.RUSAGE_SELF).ru_minflt"
    code = f"import numpy, resource{come_and_go}; before = {faults}{come_and_go}; print({faults} - before)"
    told = f"from ctmar.long_work import keep_freed_memory; keep_freed_memory(); {code}"
    not_kept, kept = (
        int(subprocess.run([sys.executable, "-c", text], capture_output=True, check=True).stdout)
        for text in (code, told)
    )
    assert kept < not_kept / 10


PARENT = """
import os, signal, time
from multiprocessing import get_context
from ctmar.datasets.parallel import _pool
from ctmar.long_work import end_with_parent

def outlive(pipe):  # a worker in the middle of something that never looks up
    end_with_parent(0.2)
    pipe.send(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    if {in_pool}:
        print(_pool(1).submit(os.getpid).result(), flush=True)
    else:
        ours, theirs = get_context("spawn").Pipe()
        get_context("spawn").Process(target=outlive, args=(theirs,)).start()
        print(ours.recv(), flush=True)
    os.kill(os.getpid(), signal.SIG{name})
"""


@pytest.mark.parametrize(("name", "in_pool"), [("TERM", True), ("KILL", True), ("KILL", False)])
def test_workers_of_a_killed_parent_end_and_hold_nothing_open(tmp_path, name, in_pool):
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(name=name, in_pool=in_pool))
    # ends when the last process that holds the pipe has ended, as `tee` does
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode < 0
    assert done.stdout.strip().isdigit()
