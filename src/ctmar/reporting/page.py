"""The report: everything read, prepared and laid out as one HTML file that needs no network."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ctmar.config import Config
from ctmar.errors import InputError
from ctmar.evaluation.intervals import SIMULATED_COVERAGE, SIMULATED_WIDTH
from ctmar.evaluation.regions import REGION_TEXT
from ctmar.evaluation.verdicts import PRIMARY
from ctmar.reporting.data_section import data_section
from ctmar.reporting.dial_section import DialSection, dial_sections
from ctmar.reporting.diverged_runs import diverged_runs, methods_of_all_runs, n_parameters
from ctmar.reporting.environment import assets, environment
from ctmar.reporting.facets import facets
from ctmar.reporting.literature import ARCHITECTURES, REFERENCES
from ctmar.reporting.marks import Mark, SeriesKey, assign_marks, kind_marks
from ctmar.reporting.missing_runs import missing_runs
from ctmar.reporting.network_section import network_section
from ctmar.reporting.not_finite_numbers import not_finite_numbers
from ctmar.reporting.report_origin import provenance, public_config
from ctmar.reporting.runs_section import runs_section
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.summary import claims_sentence, counts, facts, primary_sentence
from ctmar.reporting.timed_networks import TimedNetwork, timed_networks
from ctmar.store.atomic import atomic_path

MAXIMUM_BYTES = 25_000_000
# room for pictures beside charts and tables
_MAXIMUM_IMAGE_BYTES = 1_700_000
_MAXIMUM_THUMBNAIL_BYTES = 300_000
# share of that room, and whether every setting has its row and curves: tried in turn until the page is small enough
_ECONOMIES = ((1.0, True), (0.25, True), (0.0, True), (0.0, False))

SECTIONS = (
    ("summary", "Summary"),
    ("dial", "Broken symmetry"),
    ("results", "Quality"),
    ("response", "Penalty weights"),
    ("equivariance", "Equivariance"),
    ("layers", "Layers"),
    ("images", "Images"),
    ("cost", "Cost"),
    ("claims", "The paper’s claims"),
    ("curves", "Learning curves"),
    ("runs", "Runs"),
    ("data", "Data"),
    ("methods", "Methods"),
    ("reading", "How to read"),
    ("provenance", "Provenance"),
)

_OF_MODELS = {"results", "equivariance", "layers", "images", "curves"}  # sections that need a run that did not diverge


def build_report(results: StudyTables, config: Config, output: Path, unfinished: str = "") -> Path:
    """Write the report as one offline HTML file.

    Args:
        results: the study.
        config: its configuration as it was run.
        output: the HTML file.
        unfinished: when the study was read, if it is not finished.

    Raises:
        InputError: the page would exceed 25 MB with one setting of each method and norm alone, and no picture.
    """
    for image_share, every_setting in _ECONOMIES:
        html = render_page(results, config, image_share, every_setting=every_setting, unfinished=unfinished)
        n_bytes = len(html.encode("utf-8"))
        if n_bytes <= MAXIMUM_BYTES:
            break
    else:
        raise InputError(
            f"{output}: expected a page below {MAXIMUM_BYTES:,} bytes, found {n_bytes:,}; fewer networks help"
        )
    with atomic_path(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return output


def render_page(
    results: StudyTables,
    config: Config,
    image_share: float = 1.0,
    *,
    every_setting: bool = True,
    unfinished: str = "",
) -> str:
    """The whole page as text; what cannot be made is left out, and the banner says so.

    Args:
        results: the study.
        config: its configuration.
        image_share: share of the room for pictures that they may take.
        every_setting: whether settings that validation did not choose have rows and curves of their own.
        unfinished: when the study was read, if it is not finished.
    """
    results = replace(results, lacks=results.lacks.copy())  # of this page alone
    networks = list(dict.fromkeys(results.models["network"]))
    marks, lacks = series_marks(results), results.lacks
    image_bytes = int(image_share * _MAXIMUM_IMAGE_BYTES) // max(1, len(networks))
    made = [
        lacks.unless(
            f"Everything about the network “{name}”",
            partial(
                network_section, results, config, name, marks, image_bytes=image_bytes, every_setting=every_setting
            ),
            None,
        )
        for name in networks
    ]
    if not every_setting:
        lacks.tell(
            "Rows and curves of the settings that validation did not choose",
            f"the page would be larger than {MAXIMUM_BYTES // 10**6} MB; summary/models.csv has every setting",
        )
    sections = [section for section in made if section is not None]
    dials: dict[str, DialSection] = lacks.unless(
        "The dial of broken symmetry", lambda: dial_sections(results, config, marks), {}
    )
    with_response = any(section.responses or section.norms or section.sensitivity for section in sections)
    timed: list[TimedNetwork] = lacks.unless(
        "Steps of networks of the literature", lambda: timed_networks(results, marks), []
    )
    data = lacks.unless(
        "Data", lambda: data_section(results, config, int(image_share * _MAXIMUM_THUMBNAIL_BYTES)), None
    )
    runs = lacks.unless("The table of runs", lambda: runs_section(results, config, marks), None)
    conditions = (
        ("dial", dials),
        ("response", with_response),
        ("images", any(section.examples or section.n_examples_left_out for section in sections)),
        ("curves", any(section.curves for section in sections)),
        ("cost", timed or any(section.cost for section in sections)),
        ("runs", runs),
        ("data", data),
        ("claims", results.claims or results.questions),
    )
    left_out = {anchor for anchor, shown in conditions if not shown} | (set() if sections else _OF_MODELS)
    primary = [row for row in results.questions if row["role"] == PRIMARY]
    template = environment().get_template("page.html")
    shown = [(anchor, title) for anchor, title in SECTIONS if anchor not in left_out]
    return template.render(
        config=config,
        sections=shown,
        shown={anchor for anchor, _ in shown},
        dials=dials,
        with_response=with_response,
        methods=methods_of_all_runs(results),
        n_parameters=n_parameters(results),
        diverged=diverged_runs(results),
        missing=missing_runs(results),
        not_finite=not_finite_numbers(results),
        lacks=lacks.found,
        unfinished=unfinished,
        facts=facts(results),
        facets=facets(results),
        counts=counts(results),
        networks=sections,
        timed=timed,
        claims=results.claims,
        primary=primary,
        # where the comparisons that the configuration names cannot be read, the banner says so
        primary_sentence=primary_sentence(primary) if primary or not config.judgement.primary else "",
        questions=[row for row in results.questions if row["role"] != PRIMARY],
        coverage=SIMULATED_COVERAGE,
        width=SIMULATED_WIDTH,
        claims_sentence=claims_sentence(results.claims),
        kernels=results.kernels,
        runs=runs,
        data=data,
        references=REFERENCES,
        architectures=ARCHITECTURES,
        kinds=kind_marks(marks),
        region_text=REGION_TEXT,
        detectability=any(section.detectability for section in sections),
        provenance=provenance(results),
        config_text=public_config(config),
        styles=assets(".css"),
        scripts=assets(".js"),
    )


def series_marks(results: StudyTables) -> dict[SeriesKey, Mark]:
    """One mark for each method and norm of the study, the same in every chart and table."""
    tables = (results.models, results.cost, results.dial)
    return assign_marks(key for table in tables for key in zip(table["method"], table["norm"], strict=True))
