"""The configuration of a study: typed sections, and errors that name the key."""

from ctmar.config.reading import load_config, parse_settings, validate_section
from ctmar.config.reference import markdown_reference
from ctmar.config.schema import (
    SUBSETS,
    Config,
    Evaluation,
    Ingest,
    Network,
    Report,
    Run,
    RunGroup,
    Simulation,
    Source,
    Split,
    Study,
    Subset,
    Tracking,
    Training,
)

__all__ = [
    "SUBSETS",
    "Config",
    "Evaluation",
    "Ingest",
    "Network",
    "Report",
    "Run",
    "RunGroup",
    "Simulation",
    "Source",
    "Split",
    "Study",
    "Subset",
    "Tracking",
    "Training",
    "load_config",
    "markdown_reference",
    "parse_settings",
    "validate_section",
]
