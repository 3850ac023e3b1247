"""A report that is about to be made again: until it is, nobody shall take it for the one of the run that goes on.

Its files move into the folder ``outdated`` beside them, each with a line that says so. There they stay if the run is
stopped or fails; a new report removes them. What lies at its own name is always current.
"""

import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ctmar.store.atomic import atomic_path

FOLDER = "outdated"
UNFINISHED = "unfinished"  # holds the page of a study that failed or was stopped (`ctmar.reporting.unfinished`)
PAPER = "paper"  # of `ctmar.reporting.paper.folder`
PAGE, DESCRIPTION = "index.html", "study.json"
_FILES = (PAGE, "model_card.md", "dataset_card.md", DESCRIPTION)  # the page first: it is what people look at
_FRONT_MATTER = re.compile(r"---\n.*?\n---\n\n?", re.DOTALL)  # of a card: it has to stay at the very beginning


def set_aside(folder: Path) -> bool:
    """Move the report of a study into `FOLDER`; whether there was one."""
    if not (folder / PAGE).is_file():
        return False
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    said = (
        f"A run of this study that began on {now} was to make it again, and has not (yet): it is still running, was"
        " stopped, or failed. What follows is of an earlier run."
    )
    for name in _FILES:
        path = folder / name
        if path.is_file():
            _copy(path, folder / FOLDER / name, said)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    # figures and tables of an earlier run cannot say so; they follow from its page
    if (folder / PAPER / "references.bib").is_file():
        shutil.rmtree(folder / PAPER)
    return True


def discard(folder: Path) -> None:
    """Remove the report that was set aside, and that of the unfinished study, because a new one lies in its place."""
    for name in (FOLDER, UNFINISHED):
        for file in _FILES:
            (folder / name / file).unlink(missing_ok=True)
        with suppress(OSError):  # there was none, or somebody put something else there
            (folder / name).rmdir()


def page_of(folder: Path) -> Path | None:
    """The page of a study; else that of what there is of it, or the one that was set aside."""
    pages = (folder / PAGE, folder / UNFINISHED / PAGE, folder / FOLDER / PAGE)
    return next((page for page in pages if page.is_file()), None)


def is_unfinished(page: Path) -> bool:
    """Whether a page is that of an unfinished study."""
    return page.parent.name == UNFINISHED


def is_outdated(page: Path) -> bool:
    """Whether a page is one that was set aside."""
    return page.parent.name == FOLDER


def _copy(path: Path, target: Path, said: str) -> None:
    """Copy a file with the line that says it is not current; its time stays that at which it was made."""
    text, stat = path.read_text(encoding="utf-8"), path.stat()
    if path.suffix == ".html":
        banner = f'<aside class="banner" role="alert"><h2>This report is not current</h2><p>{said}</p></aside>'
        text = re.sub(r"<main[^>]*>", lambda found: f"{found[0]}\n{banner}", text, count=1)
    elif path.suffix == ".md":
        head = _FRONT_MATTER.match(text)
        front = head[0] if head else ""
        text = f"{front}> **This card is not current.** {said}\n\n{text.removeprefix(front)}"
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
        os.utime(temporary, ns=(stat.st_atime_ns, stat.st_mtime_ns))
