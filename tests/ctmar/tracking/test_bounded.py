import signal
import time

import pytest

from ctmar.tracking.bounded import OutOfTimeError, reason_of, shown_address, time_limit

ADDRESS = "https://me:sec@ret%23/x#y@server.org:5000/mlflow"


def retry_for_ever() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue


def test_time_limit_ends_what_catches_every_exception() -> None:
    begin = time.monotonic()
    with pytest.raises(OutOfTimeError, match=r"no answer within 0\.1 s"), time_limit(0.1):
        retry_for_ever()
    assert time.monotonic() - begin < 50


def test_time_limit_leaves_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(30):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize(
    "text", [f"failed: {ADDRESS}", "Failed to parse: https://me:sec", "user me, sec@ret%23/x#y", "ret#", "ret%23 x"]
)
def test_a_reason_shows_no_piece_of_a_password(text: str) -> None:
    shown = reason_of(ValueError(f"{text}\nsecond line"), ADDRESS)
    assert "\n" not in shown
    assert not any(piece in shown for piece in ("sec", "ret%", "ret#", "me:"))


def test_a_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc123")
    assert "abc123" not in reason_of(ValueError("header abc123 is wrong"), "https://server.org")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error code 403 != 200. Response body: 'Invalid Host header - possible DNS", "--allowed-hosts"),
        ("API request to endpoint /x failed with error code 401 != 200", "refuses this user"),
        ("API request to endpoint /x failed with error code 403 != 200", "refuses this user"),
        ("HTTPSConnectionPool: Max retries exceeded with url", "does not answer"),
    ],
)
def test_a_refusal_is_told_in_plain_words(text: str, said: str) -> None:
    reason = reason_of(RuntimeError(text), ADDRESS)
    assert said in reason
    assert "https://server.org:5000" in reason


def test_the_path_of_a_database_is_not_shown() -> None:
    assert shown_address("sqlite:////home/me/study/mlflow.db") == "sqlite"
    assert shown_address("/home/me/runs") == "path"
