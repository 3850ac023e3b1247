import signal
import threading
import time

import pytest

from ctmar.tracking.bounded import OutOfTimeError, attempt, time_limit


def retry_for_ever() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue


def fail() -> None:
    raise OSError("https://me:sec@ret@server/x refused\nsecond line")


def test_time_limit_ends_what_catches_every_exception() -> None:
    begin = time.monotonic()
    with pytest.raises(OutOfTimeError, match=r"no answer within 0\.1 s"), time_limit(0.1):
        retry_for_ever()
    assert time.monotonic() - begin < 5


def test_time_limit_leaves_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(30):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_failure_is_one_line_without_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert attempt(fail) == "not mirrored to MLflow: OSError"
    warning = capsys.readouterr().err
    assert warning.endswith("OSError: https://server/x refused\n")
    assert warning.count("\n") == 1


def test_success_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert attempt(lambda: None) is None
    assert capsys.readouterr().err == ""


def test_interruption_by_the_user_is_not_swallowed() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupt)


def test_thread_that_cannot_have_a_limit_is_a_warning_too() -> None:
    found: list[str | None] = []

    def limited() -> None:
        with time_limit(1):
            pass

    thread = threading.Thread(target=lambda: found.append(attempt(limited)))
    thread.start()
    thread.join()
    assert found == ["not mirrored to MLflow: ValueError"]
