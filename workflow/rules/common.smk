# Shared by all files here: the validated configuration, the table of runs, where everything lies, and the two things
# that must trigger a re-run but that Snakemake cannot see: settings and the code that a command runs.
import hashlib
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from ctmar.config import SUBSETS, Job, load_site, read_config
from ctmar.config.own_code import own_code_sha256
from ctmar.errors import InputError
from ctmar.store.code_digest import CodeDigests

# What is specific to the machine or cluster, in the file that EQUIPROJ_SITE names or that of the workflow. Nothing in it
# is a reason to run again.
SITE_FILE = os.environ.get("EQUIPROJ_SITE") or workflow.source_path("../profiles/site.yaml")

try:
    SITE = load_site(SITE_FILE)
    CONFIG = read_config(config, workflow.configfiles)
    RUNS = CONFIG.study.expand()
    if CONFIG.brings_code:  # needs torch, which takes its time
        from ctmar.training.own_code_check import check_own_code

        check_own_code(CONFIG)
    OWN_CODE = json.dumps(own_code_sha256(CONFIG.study.own_code))
    METRICS = CONFIG.evaluation.metrics
    METRICS_CODE = json.dumps(own_code_sha256(METRICS)) if METRICS else ""
except InputError as error:
    # not a WorkflowError: that adds lines about this file, which is not where the mistake is
    sys.exit(f"equiproj: {error}")


CODE = CodeDigests(memory=Path(".snakemake", "code_digests.json"))
command_digest = CODE.command


def as_json(section):
    """Part of the configuration, defaults filled in."""
    # sorted: the order of keys in the file is no reason to run again
    return json.dumps(section.model_dump(mode="json"), sort_keys=True)


def section_text(section):
    """One section of the configuration as JSON."""
    return as_json(getattr(CONFIG, section))


# Texts and paths of the user reach Snakemake through functions: in a plain text it would read braces as wildcards.
def settings(section):
    """One section of the configuration: command line and re-run trigger."""
    return lambda wildcards: section_text(section)


def own_code(wildcards):
    """Digest of the code that the study brings of its own: a re-run trigger."""
    return OWN_CODE


def extensions(wildcards):
    """The options that name files of the user's own to the commands that run them."""
    return [text for path in CONFIG.extensions for text in ("--extension", str(path))]


def metrics_code(wildcards):
    """Digest of the code behind metrics of the study's own, empty where it has none: a re-run trigger."""
    return METRICS_CODE


def metrics_extensions(wildcards):
    """The options of `extensions` for a command that runs no code of the user's own but metrics."""
    return extensions(wildcards) if METRICS else []


def given(path):
    """A file or folder of the user's own as an input, or none."""
    return (lambda wildcards: str(path)) if path else []


def key(*parts):
    """A short name for what follows from these texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def content(path):
    """Digest of a file that shapes which files there are, empty where there is none."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path and os.path.isfile(path) else ""


# Where everything lies. What belongs to one study carries its name; what several can share lies under a key of all that
# it follows from, so that no study ever touches what another made with other settings.
RESULTS = f"results/{CONFIG.study.name}"
REPORTS = f"reports/{CONFIG.study.name}"
LOGS = f"logs/{CONFIG.study.name}"
BENCHMARKS = f"benchmarks/results/{CONFIG.study.name}"
PACKAGES = "resources/packages"
IDC_KEY = key(content(CONFIG.source.manifest))
IDC = f"resources/idc/{IDC_KEY}"
SLICES_SETTINGS = (section_text("source"), content(CONFIG.source.manifest), section_text("ingest"))
SLICES_KEY = key(*SLICES_SETTINGS)
SLICES = f"resources/slices/{SLICES_KEY}"


# Runs that differ in the strength of the broken symmetry alone read other pairs of the same slices.
def pairs_key(asymmetry):
    """The name of the folder of these pairs."""
    return key(*SLICES_SETTINGS, section_text("split"), as_json(CONFIG.simulation.at_strength(asymmetry)))


SIMULATIONS = {
    pairs_key(asymmetry): CONFIG.simulation.at_strength(asymmetry) for asymmetry in {run.asymmetry for run in RUNS}
}
BASE = min(run.condition for run in RUNS)[0]
BASE_PAIRS = f"resources/pairs/{pairs_key(BASE)}"

# A job trains and measures several runs on the same pairs. What it makes is a list of their files: the folders of the runs belong to
# the job and not to Snakemake, which would delete what is finished of a job that failed.
JOBS = CONFIG.study.jobs(SITE.runs_per_job)
RUN_NAMES = [f"{run.slug}/seed-{run.seed}" for run in RUNS]
FINISHED = [f"{RESULTS}/jobs/{job}.sha256" for job in JOBS]


def runs_of(wildcards):
    """The runs of a job."""
    return JOBS[wildcards.job]


@cache
def job_text(job):
    """What a job trains, as JSON."""
    runs = JOBS[job]
    return as_json(Job(runs=runs, network=CONFIG.study.networks[runs[0].network], group=CONFIG.study.group))


def job_settings(wildcards):
    """The same of the job that the wildcards name."""
    return job_text(wildcards.job)


def pairs_of(wildcards):
    """The folder of the pairs that the runs of a job train on and are measured on."""
    return f"resources/pairs/{pairs_key(runs_of(wildcards)[0].asymmetry)}"


# Stored pairs come as they are: nothing can be put into them.
HAS_SIGNALS = CONFIG.simulation.pairs == "simulated" and CONFIG.simulation.signals.images_per_patient > 0


def signals_option(wildcards, input):
    """The option that names the images with signals to a command that measures, where there are any."""
    return ["--signals", input.signals] if HAS_SIGNALS else []


# where the CT lies, and what must be there first; what is downloaded comes with a list of sources and licences
SOURCE_READY = {"package": PACKAGES, "idc": f"{IDC}/ctmar-sources.json"}.get(CONFIG.source.kind) or str(
    CONFIG.source.folder
)
SOURCES_LIST = {"package": f"{PACKAGES}/ctmar-sources.json", "idc": f"{IDC}/ctmar-sources.json"}.get(CONFIG.source.kind)
# small tables about the data, which each study keeps a copy of
DATA_TABLES = {
    **{name: f"{SLICES}/{name}" for name in ("catalogue.csv", "quarantine.csv", "thumbnails.npz")},
    **{name: f"{BASE_PAIRS}/{name}" for name in ("split.csv", *(f"{subset}-quarantine.csv" for subset in SUBSETS))},
}


wildcard_constraints:
    subset="|".join(SUBSETS),
    shard=r"\d+",
    pairs=r"[0-9a-f]{12}",
    job="[^/]+",
    table="|".join(map(re.escape, DATA_TABLES)),


def source_folder(wildcards, input):
    """The folder that `ctmar ingest` reads."""
    return os.path.dirname(input.ready) if CONFIG.source.kind == "idc" else input.ready


def sources_option(wildcards, input):
    """The option of `ctmar report` that names the list of downloaded sources, if there is one."""
    folder = os.path.dirname(input.source) if CONFIG.source.kind == "idc" else input.source
    return ["--sources", f"{folder}/ctmar-sources.json"] if input.source else []


TRACKING_TARGETS = [f"{RESULTS}/mlflow/synchronised.json"] if CONFIG.tracking.enabled else []
