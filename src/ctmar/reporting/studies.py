"""The list of all studies of a checkout: one small page above their reports, made without reading any results."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from ctmar.reporting.environment import asset, environment
from ctmar.reporting.outdated import DESCRIPTION, PAGE, is_outdated, is_unfinished, page_of
from ctmar.store.atomic import atomic_path


class StudyDescription(BaseModel):
    """What the list says of a study: what it is called, what its data are, and how much was trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    data: str
    n_runs: int
    n_diverged: int
    networks: list[str]
    methods: list[str]


class ListedStudy(NamedTuple):
    """A row of the list; a study whose description cannot be read still has its page.

    ``outdated``: the page is one that was set aside, because the study was run again and has no new one yet;
    ``unfinished``: it shows what there is of a study that failed or was stopped.
    """

    name: str
    link: str
    date: str
    outdated: bool
    unfinished: bool
    description: StudyDescription | None


def write_description(description: StudyDescription, output: Path) -> None:
    """Write the description of a study beside its page."""
    with atomic_path(output) as temporary:
        temporary.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def list_reports(reports: Path) -> Path:
    """Write the list of the studies whose reports lie below a folder, newest first; gives the page.

    Studies that end together list each other: the page is written again until it agrees with what lies there.
    """
    page, written = reports / PAGE, None
    while (found := sorted(_found_studies(reports), key=lambda study: study.date, reverse=True)) != written:
        text = render_list(found)
        with atomic_path(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written = found
    return page


def _found_studies(reports: Path) -> Iterator[ListedStudy]:
    """Every study with a page below a folder, by name."""
    for folder in sorted(reports.glob("*")):
        page = page_of(folder)
        if page is None:
            continue
        date = datetime.fromtimestamp(page.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
        link = quote(page.relative_to(reports).as_posix())
        described = read_description(page.with_name(DESCRIPTION))
        yield ListedStudy(folder.name, link, date, is_outdated(page), is_unfinished(page), described)


def read_description(path: Path) -> StudyDescription | None:
    """The description of a study, or nothing where it cannot be read: no study may keep another from being listed."""
    try:
        return StudyDescription.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def render_list(studies: list[ListedStudy]) -> str:
    """The page as text."""
    return environment().get_template("studies.html").render(studies=studies, style=asset("report.css"))
