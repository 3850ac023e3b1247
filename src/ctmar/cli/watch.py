"""The command that shows a study while it runs."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctmar.cli.stopping import stop_requests
from ctmar.errors import InputError

if TYPE_CHECKING:
    from ctmar.reporting.live_study import LiveStudy, Watcher

_LOWEST_PRIORITY = 19
_SHARE_OF_A_CORE = 0.1  # that looking may take, however many runs there are
_CURVES = 200  # of the page
_SECONDS_BETWEEN_LINES = 5.0  # of a log, at first
_LINES_GROW_APART = 0.05  # of the time so far
Show = Callable[["LiveStudy"], None]


def watch(
    results: Annotated[
        Path, typer.Argument(help="Folder of a study's results, results/NAME; it need not be there yet.")
    ],
    *,
    once: Annotated[bool, typer.Option("--once", help="Show what there is now, and end.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="HTML file to write the same to, again and again; it shows itself anew.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Show a study while it runs: what is over, running, failed and waiting, how fast, until when, and the curves.

    On a terminal the view is drawn anew every few seconds, elsewhere a line is printed when something happens. Only
    files are read, at the lowest priority, so it may run on any machine that shares the disk. It ends when nothing is
    left to run, with exit code 1 if a run failed; Ctrl-C ends it sooner and ends nothing else.
    """
    from ctmar.reporting.live_study import Watcher
    from ctmar.reporting.live_text import lines

    os.nice(_LOWEST_PRIORITY)
    watcher = Watcher(results, n_shown=8 if page is None else _CURVES)
    if once:
        study = watcher.look()
        _write_page(page, study, every)
        typer.echo("\n".join(lines(study)))
        return
    with stop_requests() as interrupted, _shown() as show:
        try:
            last = _until_done(watcher, show, lambda study: _write_page(page, study, every), every, interrupted)
        except KeyboardInterrupt:
            last = None
    if last is not None and last.broken:
        raise typer.Exit(1)


def _until_done(
    watcher: "Watcher", show: Show, write: Show, every: float, interrupted: Callable[[], bool]
) -> "LiveStudy | None":
    """Look and show until nothing is left to run; gives the last look, None where there was none."""
    study, told = None, ""
    while not interrupted():
        begin, used = time.monotonic(), time.process_time()
        try:
            study = watcher.look()
        except InputError as error:  # not there yet, or just being written
            if study is None and str(error) != told:
                told = str(error)
                print(f"ctmar: {told}; waiting for it", file=sys.stderr, flush=True)
        if study is not None:
            show(study)
            write(study)
            if study.is_done:
                break
        # a busy machine, or a slow disk, makes a look of the lowest priority long and not dear
        dear, long = (time.process_time() - used) / _SHARE_OF_A_CORE, time.monotonic() - begin
        _sleep(max(every, dear, long), interrupted)
    return study


def _sleep(seconds: float, interrupted: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not interrupted() and (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


def _write_page(page: Path | None, study: "LiveStudy", every: float) -> None:
    if page is not None:
        from ctmar.reporting.live_page import write_live_page

        write_live_page(study, page, every)


@contextmanager
def _shown() -> Iterator[Show]:
    """Yield what shows a look: the whole view drawn anew on a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from ctmar.reporting.live_text import lines

    console = Console()
    if not console.is_terminal:
        yield _printed()
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda study: live.update(Text("\n".join(lines(study, console.width)), no_wrap=True), refresh=True)


def _printed() -> Show:
    """What prints a line when states of runs have changed, at first every few seconds; failures at once."""
    from ctmar.reporting.live_text import broken_lines, clock, one_line

    begin = next_line = time.monotonic()
    shown, told = None, set[str]()

    def show(study: "LiveStudy") -> None:
        nonlocal shown, next_line
        now = time.monotonic()
        new = [line for line in broken_lines(study) if line not in told]
        if study.is_done or new or (study.counts != shown and now >= next_line):
            next_line = now + max(_SECONDS_BETWEEN_LINES, _LINES_GROW_APART * (now - begin))
            shown = study.counts
            print("\n".join([f"{clock(study.moment)} {one_line(study)}", *new]), flush=True)
        told.update(new)

    return show


COMMANDS = (watch,)
