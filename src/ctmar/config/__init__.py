"""The configuration of a study: typed sections, and errors that name the key."""

from ctmar.config.data import (
    SOURCE_KINDS,
    Asymmetry,
    Ingest,
    Metal,
    Signals,
    Simulation,
    Source,
    Split,
    readers_by_suffix,
)
from ctmar.config.judgement import Judgement, PrimaryComparison
from ctmar.config.optimisation import Network, Training
from ctmar.config.parsing import parse_settings, validate_json, validate_section
from ctmar.config.reference import markdown_reference
from ctmar.config.schema import SHOWN_ONLY, Config, Evaluation, Report, Timing, Tracking
from ctmar.config.section import SUBSETS, Subset
from ctmar.config.site import Site, load_site
from ctmar.config.study import Job, MethodName, Run, RunGroup, RunSettings, Study
from ctmar.config.study_file import check_config_files, load_config, read_config

__all__ = [
    "SHOWN_ONLY",
    "SOURCE_KINDS",
    "SUBSETS",
    "Asymmetry",
    "Config",
    "Evaluation",
    "Ingest",
    "Job",
    "Judgement",
    "Metal",
    "MethodName",
    "Network",
    "PrimaryComparison",
    "Report",
    "Run",
    "RunGroup",
    "RunSettings",
    "Signals",
    "Simulation",
    "Site",
    "Source",
    "Split",
    "Study",
    "Subset",
    "Timing",
    "Tracking",
    "Training",
    "check_config_files",
    "load_config",
    "load_site",
    "markdown_reference",
    "parse_settings",
    "read_config",
    "readers_by_suffix",
    "validate_json",
    "validate_section",
]
