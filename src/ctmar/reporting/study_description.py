"""What the list of studies says of one, taken from its results."""

from ctmar.config import Config
from ctmar.reporting.diverged_runs import networks_of_all_runs
from ctmar.reporting.studies import StudyDescription
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.summary import counts, method_names
from ctmar.reporting.wording import plural


def describe_study(results: StudyTables, config: Config) -> StudyDescription:
    """What the list says of a finished study."""
    n = counts(results)
    return StudyDescription(
        title=config.report.title,
        data=f"{plural(n['n_slices'], 'slice')} of {plural(n['n_patients'], 'patient')}, source {config.source.kind}",
        n_runs=n["n_runs"],
        n_diverged=n["n_diverged"],
        networks=networks_of_all_runs(results),
        methods=method_names(results.models),
    )
