# Shared by all files here: the validated configuration, the table of runs, where everything lies, and the two things
# that must trigger a re-run but that Snakemake cannot see: settings and the code that a command runs.
import hashlib
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from ctmar.config import SHOWN_ONLY, SUBSETS, Job, check_config_files, load_site, read_config
from ctmar.config.own_code import own_code_sha256
from ctmar.errors import InputError
from ctmar.jobs.presence import announce, is_study_as_started
from ctmar.jobs.slurm_silence import keep_jobs_while_slurm_is_silent
from ctmar.store.code_digest import CodeDigests
from ctmar.store.provenance import user_file_sha256

# What is specific to the machine or cluster, in the file that EQUIPROJ_SITE names or that of the workflow. Nothing in it
# is a reason to run again.
SITE_FILE = os.environ.get("EQUIPROJ_SITE") or workflow.source_path("../profiles/site.yaml")


def digest(values):
    """SHA-256 of what JSON can hold, the same in whatever order its keys are."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


try:
    SITE = load_site(SITE_FILE)
    check_config_files(workflow.configfiles)
    CONFIG = read_config(config, workflow.configfiles)
    RUNS = CONFIG.study.expand()
    if CONFIG.brings_code:  # needs torch, which takes its time
        from ctmar.training.own_code_check import check_own_code

        check_own_code(CONFIG)
    # digests of code that the study brings of its own and of that behind its own metrics: re-run triggers
    OWN_CODE = digest(own_code_sha256(CONFIG.study.own_code))
    METRICS = CONFIG.evaluation.metrics
    # files of the user's own count by their content, wherever they lie
    MANIFEST_SHA256 = user_file_sha256(CONFIG.source.manifest, "source.manifest")
    SALT_SHA256 = user_file_sha256(CONFIG.ingest.salt_file, "ingest.salt_file")
    WEIGHTS_SHA256 = {
        name: user_file_sha256(network.weights, f"study.networks.{name}.weights")
        for name, network in CONFIG.study.networks.items()
    }
    METRICS_CODE = digest(own_code_sha256(METRICS))
except InputError as error:
    # not a WorkflowError: that adds lines about this file, which is not where the mistake is
    sys.exit(f"equiproj: {error}")


# a scheduler's job reads the configuration again; what is only shown may change
SHAPING = CONFIG.model_dump(mode="json", exclude=set(SHOWN_ONLY))
if not is_study_as_started(digest(SHAPING), starts=workflow.is_main_process):
    files = " + ".join(map(str, workflow.configfiles))
    sys.exit(f"equiproj: {files}: edited while its study runs; stop Snakemake and start it again: finished runs stay")


# what this Snakemake starts names it, and from any machine `ctmar recover` sees whether it lives
if workflow.is_main_process:
    announce(Path())
    keep_jobs_while_slurm_is_silent()

command_digest = cache(CodeDigests().command)


# sorted: the order of keys in the file is no reason to run again
def as_json(section):
    """Part of the configuration, defaults filled in and the user's paths left out: where a file lies is no reason either."""
    return json.dumps(section.published(), sort_keys=True)


def as_json_with_paths(section):
    """The same for a command that opens these files."""
    return json.dumps(section.model_dump(mode="json"), sort_keys=True)


@cache
def section_text(section):
    """One section of the configuration as JSON, without the user's paths."""
    return as_json(getattr(CONFIG, section))


# Texts and paths of the user reach Snakemake through functions: in a plain text it would read braces as wildcards.
def settings(section):
    """One section of the configuration: command line and re-run trigger."""
    return lambda wildcards: section_text(section)


def settings_with_paths(section):
    """One section for a command that opens the user's files; `settings` beside it is the re-run trigger."""
    # what asks for the inputs is no trigger to Snakemake
    return lambda wildcards, input: as_json_with_paths(getattr(CONFIG, section))


def extensions(wildcards, input):
    """The options that name files of the user's own to the commands that run them; `OWN_CODE` is the trigger."""
    return [text for path in CONFIG.extensions for text in ("--extension", str(path))]


def metrics_extensions(wildcards, input):
    """The options of `extensions` for a command that runs no code of the user's own but metrics."""
    return extensions(wildcards, input) if METRICS else []


def place(path):
    """A folder of the user's: what lies below the working directory keeps its name when that is moved."""
    return str(path.relative_to(Path.cwd()) if path and path.is_relative_to(Path.cwd()) else path or "")


def given(path):
    """A folder of the user's own as an input, or none; no prefix of a module moves it."""
    return (lambda wildcards: local(place(path))) if path else []


# A module with a prefix moves the paths of its rules. What is read while planning is found by this; it is the place of a
# path of this workflow. It is bound here, because Snakemake asks for it when another module may be read.
placed = workflow.modifier.path_modifier.replace_prefix


def key(*parts):
    """A short name for what follows from these texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


# Where everything lies. What belongs to one study carries its name; what several can share lies under a key of all that
# it follows from, so that no study ever touches what another made with other settings. Params and shell lines never name
# these paths: they derive theirs from input and output, which a module's prefix moves.
RESULTS = f"results/{CONFIG.study.name}"
REPORTS = f"reports/{CONFIG.study.name}"
LOGS = f"logs/{CONFIG.study.name}"
BENCHMARKS = f"benchmarks/results/{CONFIG.study.name}"
PACKAGES = "resources/packages"
IDC_KEY = key(MANIFEST_SHA256)
IDC = f"resources/idc/{IDC_KEY}"
SLICES_SETTINGS = (
    section_text("source"),
    MANIFEST_SHA256,
    place(CONFIG.source.folder),
    section_text("ingest"),
    SALT_SHA256,
)
SLICES_KEY = key(*SLICES_SETTINGS)
SLICES = f"resources/slices/{SLICES_KEY}"


# Runs that differ in the strength of the broken symmetry alone read other pairs of the same slices.
@cache
def pairs_key(asymmetry):
    """The name of the folder of these pairs."""
    simulation = CONFIG.simulation.at_strength(asymmetry)
    return key(*SLICES_SETTINGS, section_text("split"), as_json(simulation), place(simulation.mask_folder))


SIMULATIONS = {
    pairs_key(asymmetry): CONFIG.simulation.at_strength(asymmetry) for asymmetry in {run.asymmetry for run in RUNS}
}
BASE = min(run.condition for run in RUNS)[0]
BASE_PAIRS = f"resources/pairs/{pairs_key(BASE)}"

# A job trains and measures several runs on the same pairs. What it makes is a list of their files: the folders of the runs belong to
# the job and not to Snakemake, which would delete what is finished of a job that failed.
JOBS = CONFIG.study.jobs(SITE.runs_per_job)
RUN_NAMES = [run.folder_name for run in RUNS]
# the checksums of all runs together, so that of all rules one alone has thousands of inputs
FINISHED = f"{RESULTS}/runs.sha256"


# Asked for several times for each of thousands of jobs.
@cache
def job_of(job):
    """What a job trains."""
    runs = JOBS[job]
    return Job(runs=runs, network=CONFIG.study.networks[runs[0].network], group=CONFIG.study.group)


# Stored pairs come as they are: nothing can be put into them.
HAS_SIGNALS = CONFIG.simulation.pairs == "simulated" and CONFIG.simulation.signals.images_per_patient > 0


# One function for all inputs of a job and one for all words of its command: of thousands of jobs, every function and every
# place in the shell line counts (benchmarks/planning_speed.py).
def pairs_of(wildcards):
    """What the runs of a job are trained and measured on."""
    pairs = f"resources/pairs/{pairs_key(JOBS[wildcards.job][0].asymmetry)}"
    names = {subset: f"{subset}.h5" for subset in SUBSETS} | {"split": "split.csv"}
    signals = {"signals": "signals.h5"} if HAS_SIGNALS else {}
    return {name: f"{pairs}/{file}" for name, file in {**names, **signals}.items()}


def task(wildcards, input, output):
    """What the command of a job is told; `origin` is the re-run trigger."""
    results = os.path.dirname(os.path.dirname(output[0]))
    words = {
        "--split": input.split,
        "--job": as_json_with_paths(job_of(wildcards.job)),
        "--output": f"{results}/runs",
        "--settings": section_text("training"),
        "--evaluation": section_text("evaluation"),
        **({"--signals": input.signals} if HAS_SIGNALS else {}),
    }
    options = [text for option in words.items() for text in option]
    return [os.path.dirname(input.train), *options, *extensions(wildcards, input)]


# where the CT lies, and what must be there first; what is downloaded comes with a list of sources and licences
SOURCE_READY = {"package": PACKAGES, "idc": f"{IDC}/ctmar-sources.json"}.get(CONFIG.source.kind) or given(
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


def given_files(wildcards, input):
    """The options that name what a re-run needs: the list of sources, the manifest, code of the user's own."""
    manifest = ["--manifest", str(CONFIG.source.manifest)] if CONFIG.source.manifest else []
    own_code = [text for path in CONFIG.extensions for text in ("--own-code", str(path))]
    return [*sources_option(wildcards, input), *manifest, *own_code]


TRACKING_TARGETS = [f"{RESULTS}/mlflow/synchronised.json"] if CONFIG.tracking.enabled else []
