# What every job asks a scheduler for: memory and time by the model of its work and by what became of earlier attempts;
# partition, account and GPUs by the file of the site. All of it is said here and in the rules, so that `--set-resources`
# on the command line, which replaces the whole option of a profile, has nothing of a profile's to lose.
from dataclasses import replace

from ctmar.estimate.counts_memory import counts_of_networks
from ctmar.estimate.data_demand import DataDemand
from ctmar.estimate.training_demand import TrainingDemand
from ctmar.jobs.attempts import raised
from ctmar.store.attempt_records import AttemptsFile

GPUS_PER_TRAINING = SITE.gpus_per_job if CONFIG.training.device == "cuda" else 0
# for jobs that want the machine to themselves; on a cluster there is no such number
ALL_CORES = workflow.resource_settings.cores or 2

# what a job needs by its model; torch counts what a network does once, and the counts are kept
DATA = DataDemand(CONFIG, SITE)
try:
    COUNTS = counts_of_networks(CONFIG, command_digest("train"))
except InputError as error:
    sys.exit(f"equiproj: {error}")
TRAINING = TrainingDemand(CONFIG, SITE, COUNTS)

# a job that a scheduler's Snakemake tries again does not repeat a mistake (ctmar.cli.repeated_mistakes)
ATTEMPT = f"export CTMAR_ATTEMPT={workflow.attempt} CTMAR_MISTAKES=.snakemake/ctmar_mistakes"
# braces are doubled because Snakemake formats the text
SITE_LINES = SITE.shell_lines.replace("{", "{{").replace("}", "}}")
# the strict mode is Snakemake's own, which a prefix replaces
shell.prefix(f"set -euo pipefail; {ATTEMPT}; {SITE_LINES}")


def within(value, limit):
    """A number that a limit of the site, if there is one, bounds."""
    return min(value, limit) if limit else value


def on_site(demand, n_gpus=None):
    """The resources of a job by its demand, which may be a function of wildcards."""

    def bounded(amount, limit):
        if callable(demand):
            return lambda wildcards: within(getattr(demand(wildcards), amount), limit)
        return within(getattr(demand, amount), limit)

    return {
        "mem_mb": bounded("memory_mb", SITE.maximum_memory_mb),
        "runtime": bounded("minutes", SITE.maximum_minutes),
        **SITE.resources(n_gpus),
    }


@cache
def job_key(job):
    """A name for all that a job of trainings follows from, by which it knows its own attempts."""
    texts = (as_json(job_of(job)), section_text("training"), section_text("evaluation"))
    own = (WEIGHTS_SHA256[JOBS[job][0].network], OWN_CODE, METRICS_CODE)
    return key(*texts, command_digest("train-and-evaluate"), *own)


def origin(wildcards):
    """The same of the job that the wildcards name."""
    return job_key(wildcards.job)


FINISHED_FOLDER = Path(placed(f"{RESULTS}/jobs"))


@cache
def modelled(job):
    """How many trainings of a job run at a time, and what it needs by its model."""
    return TRAINING.workers(JOBS[job], GPUS_PER_TRAINING), TRAINING.job(JOBS[job], GPUS_PER_TRAINING)


def trained_at_a_time(wildcards):
    """How many trainings of a job run at a time."""
    return modelled(wildcards.job)[0]


def threads_of_job(wildcards):
    """Threads of all trainings that a job runs at a time."""
    return trained_at_a_time(wildcards) * (CONFIG.training.threads + CONFIG.training.reader_processes)


def after_attempts(wildcards):
    """What a job of trainings needs by its model, or more where earlier attempts say so."""
    _, demand = modelled(wildcards.job)
    attempts = AttemptsFile.beside(FINISHED_FOLDER / f"{wildcards.job}.sha256").read()
    if not attempts:
        return demand
    own = job_key(wildcards.job)
    return replace(
        demand,
        memory_mb=raised(demand.memory_mb, attempts, own, "memory_mb"),
        minutes=raised(demand.minutes, attempts, own, "minutes"),
    )
