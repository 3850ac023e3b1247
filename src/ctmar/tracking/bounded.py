"""Work on something that may never answer, and the reasons why it failed, in plain words and without passwords."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

# what SQLAlchemy imports for an address, and the package that brings it
_DRIVERS = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "MySQLdb": "mysqlclient",
    "pymysql": "pymysql",
    "pyodbc": "pyodbc",
}
_SILENT = ("Max retries exceeded", "Connection refused", "Connection aborted", "RemoteDisconnected", "timed out")
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_LONGEST_REASON = 300


class OutOfTimeError(BaseException):
    """MLflow did not answer in time; not an `Exception`, because MLflow's retry loops catch those and go on."""


class MirrorError(Exception):
    """The mirror cannot be used as it is; the message says what to do."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the block with `OutOfTimeError` after ``seconds``: a dead database is tried for minutes otherwise."""

    def stop(*_: object) -> None:
        raise OutOfTimeError(f"no answer within {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def reason_of(error: BaseException, address: str) -> str:
    """Why MLflow failed, in one line that shows no password.

    Args:
        error: what was raised.
        address: where the mirror is, as the user gave it.

    Examples:
        >>> reason_of(OSError("https://me:s3cret@server/x: Connection refused"), "https://me:s3cret@server/x")
        'the server at https://server does not answer'
        >>> reason_of(ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2"), "postgresql://me:s3cret@db/x")
        'the database at postgresql://db needs a driver: pip install psycopg2-binary'
    """
    text, place = str(error), shown_address(address)
    if isinstance(error, MirrorError | OutOfTimeError):
        return text
    driver = re.search(r"No module named '(\w+)", text)
    if driver and driver[1] in _DRIVERS:
        return f"the database at {place} needs a driver: pip install {_DRIVERS[driver[1]]}"
    if "Invalid Host header" in text:
        return (
            f"the server at {place} refuses requests under this name of its host;"
            " start it with `mlflow server --allowed-hosts` and that name"
        )
    if re.search(r"error code 40[13]\b", text):
        return f"the server at {place} refuses this user; see MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if any(words in text for words in _SILENT):
        return f"the server at {place} does not answer"
    return f"{type(error).__name__}: {without_secrets((text.splitlines() or [''])[0], address)[:_LONGEST_REASON]}"


def shown_address(address: str) -> str:
    """Scheme and host of an address; of a database in a file the scheme alone, for its path is the user's own.

    Examples:
        >>> shown_address("https://me:p#a/s@server.org:5000/mlflow?x=1"), shown_address("sqlite:////home/me/m.db")
        ('https://server.org:5000', 'sqlite')
    """
    scheme, separator, rest = address.partition("://")
    host = re.split(r"[/?#]", rest.rpartition("@")[2])[0]
    return f"{scheme}://{host}" if separator and host else scheme if separator else "path"


def without_secrets(text: str, address: str) -> str:
    """A text without user and password of an address, as they stand there or decoded, whole or cut at any sign."""
    access = address.partition("://")[2].rpartition("@")[0]
    known = [access, *(os.environ.get(name, "") for name in _SECRET_VARIABLES)]
    pieces = {piece for secret in known for piece in (secret, *re.split(r"[:/?#@]", secret)) if len(piece) > 1}
    for piece in sorted(pieces | set(map(unquote, pieces)), key=len, reverse=True):
        text = text.replace(piece, "…")
    return re.sub(r"//[^/\s]*@", "//", text)
