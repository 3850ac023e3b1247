"""Progress of long commands: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ctmar.long_work import Progress

_SECONDS_BETWEEN_LINES = 5.0  # at first
_LINES_GROW_APART = 0.05  # of the time so far: a day of training is some hundred lines


@contextmanager
def progress(name: str) -> Iterator[Progress]:
    """Yield a function of (done, total, text) that shows how far ``name`` has come on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with _TwoLines(*columns, console=console) as bar:
        task = bar.add_task(name, total=None, text="", start=False)

        def show(done: int, total: int, text: str) -> None:
            if not bar.tasks[task].started:
                # work that an earlier process did says nothing of the speed of this one
                bar.reset(task, total=total, completed=done, text=text)
            bar.update(task, completed=done, total=total, text=text)

        yield show


class _TwoLines(Bars):
    """The text below the bar, so that a narrow terminal still shows both."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in filter(lambda task: task.fields["text"], self.tasks):
            yield Text(task.fields["text"], no_wrap=True, overflow="ellipsis")


def _lines(name: str) -> Progress:
    begin = time.monotonic()
    next_line = begin

    def show(done: int, total: int, text: str) -> None:
        nonlocal next_line
        now = time.monotonic()
        if done >= total or now >= next_line:
            next_line = now + max(_SECONDS_BETWEEN_LINES, _LINES_GROW_APART * (now - begin))
            with suppress(BrokenPipeError):  # the reader of the log is gone; the work is not
                print(f"{name}: {done}/{total} {text}".rstrip(), file=sys.stderr, flush=True)

    return show
