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
        may_end.wait(10)

    def work():
        with thread_pool(1) as pool:
            pool.submit(first)
            waiting.extend(pool.submit(begun.append, number) for number in range(5))
            assert running.wait(10)
            threading.Timer(0.2, may_end.set).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert begun == []
    assert all(job.cancelled() for job in waiting)
