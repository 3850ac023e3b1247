"""Progress of long commands: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 5.0
Report = Callable[[int, int, str], None]


@contextmanager
def progress(name: str) -> Iterator[Report]:
    """Yield a function of (done, total, text) that shows how far ``name`` has come on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, TextColumn("{task.fields[text]}"), console=console) as bar:
        task = bar.add_task(name, total=None, text="")

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, text=text)

        yield show


def _lines(name: str) -> Report:
    last_line = -SECONDS_BETWEEN_LINES

    def show(done: int, total: int, text: str) -> None:
        nonlocal last_line
        now = time.monotonic()
        if done >= total or now - last_line >= SECONDS_BETWEEN_LINES:
            last_line = now
            print(f"{name}: {done}/{total} {text}".rstrip(), file=sys.stderr, flush=True)

    return show
