# Shared by all files here: the validated configuration, the table of runs, and the two things that must
# trigger a re-run but that Snakemake cannot see: settings and the code that a command runs.
import json
import os
import sys
from pathlib import Path

import pandas as pd
from ctmar.config import Config, Run, validate_section
from ctmar.errors import InputError
from ctmar.store.code_digest import CodeDigests
from snakemake.utils import Paramspace

try:
    CONFIG = validate_section(Config, config, where=" + ".join(map(str, workflow.configfiles)))
    RUNS = CONFIG.study.expand()
except InputError as error:
    # not a WorkflowError: that adds lines about this file, which is not where the mistake is
    sys.exit(f"equiproj: {error}")


wildcard_constraints:
    subset="train|validation|test",
    shard=r"\d+",


def slug(norm):
    """A norm as a path can carry it: mixed:2,1 becomes mixed-2-1."""
    return norm.replace(":", "-").replace(",", "-")


NORM_OF_SLUG = {slug(run.norm): run.norm for run in RUNS}
RUN_SPACE = Paramspace(pd.DataFrame([{**run.model_dump(), "norm": slug(run.norm)} for run in RUNS]))
RUN_FOLDER = f"results/runs/{RUN_SPACE.wildcard_pattern}"
RUN_FOLDERS = [f"results/runs/{instance}" for instance in RUN_SPACE.instance_patterns]


CODE = CodeDigests(memory=Path(".snakemake", "code_digests.json"))
command_digest = CODE.command


def script_digest(name):
    """Digest of what a script beside the rules runs."""
    return CODE.script(Path(workflow.source_path(name)))


def settings(section):
    """One section of the configuration, defaults filled in, as JSON: command line and re-run trigger."""
    values = getattr(CONFIG, section).model_dump(mode="json")
    return json.dumps(values, sort_keys=True)  # the order of keys in the file is no reason to run again


def run_settings(wildcards):
    """The run that the wildcards stand for, as JSON."""
    instance = {**wildcards, "norm": NORM_OF_SLUG[wildcards.norm]}
    return validate_section(Run, instance, "run").model_dump_json()


def network_settings(wildcards):
    """The network that the wildcards name, as JSON."""
    return CONFIG.study.networks[wildcards.network].model_dump_json()


# where the CT lies, and what must be there first; what is downloaded comes with a list of sources and licences
DOWNLOADED = {"package": "resources/packages", "idc": "resources/idc"}
SOURCE_FOLDER = DOWNLOADED.get(CONFIG.source.kind) or str(CONFIG.source.folder)
SOURCE_READY = "resources/idc/sources.json" if CONFIG.source.kind == "idc" else SOURCE_FOLDER


def source_folder(wildcards, input):
    """The folder that `ctmar ingest` reads."""
    ready = str(input.ready)
    return os.path.dirname(ready) if CONFIG.source.kind == "idc" else ready


SOURCES_OPTION = f"--sources {SOURCE_FOLDER}/sources.json" if CONFIG.source.kind in DOWNLOADED else ""
TRACKING_TARGETS = ["results/mlflow/synchronised.json"] if CONFIG.tracking.enabled else []
GPUS_PER_TRAINING = 1 if CONFIG.training.device == "cuda" else 0
# for jobs that want the machine to themselves; on a cluster there is no such number, and the profile sets the threads
ALL_CORES = workflow.resource_settings.cores or 1
