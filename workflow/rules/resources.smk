# What every job asks a scheduler for: memory and time by the model of its work and by what became of earlier attempts;
# partition, account and GPUs by the file of the site. All of it is said here and in the rules, so that `--set-resources`
# on the command line, which replaces the whole option of a profile, has nothing of a profile's to lose.
from ctmar.jobs.attempts import AttemptsFile, raised

GPUS_PER_TRAINING = 1 if CONFIG.training.device == "cuda" else 0
# for jobs that want the machine to themselves; on a cluster there is no such number
ALL_CORES = workflow.resource_settings.cores or 2

# the strict mode is Snakemake's own, which a prefix replaces; braces are doubled because it formats the text
shell.prefix("set -euo pipefail; " + SITE.shell_lines.replace("{", "{{").replace("}", "}}"))


def within(value, limit):
    """A number that a limit of the site, if there is one, bounds."""
    return min(value, limit) if limit else value


def on_site(memory_mb, minutes, n_gpus=0):
    """The resources of a job that takes so many megabytes and minutes; each may be a function of wildcards and input."""

    def bounded(value, limit):
        if not callable(value):
            return within(value, limit)
        return lambda wildcards, input, attempt: within(value(wildcards, input), limit)

    return {
        "mem_mb": bounded(memory_mb, SITE.maximum_memory_mb),
        "runtime": bounded(minutes, SITE.maximum_minutes),
        **SITE.resources(n_gpus),
    }


@cache
def job_key(job):
    """A name for all that a job of trainings follows from, by which it knows its own attempts."""
    texts = (job_text(job), section_text("training"), section_text("evaluation"))
    return key(*texts, command_digest("train-and-evaluate"), OWN_CODE, METRICS_CODE)


def origin(wildcards):
    """The same of the job that the wildcards name."""
    return job_key(wildcards.job)


FINISHED_FOLDER = Path(placed(f"{RESULTS}/jobs"))


def after_attempts(modelled, what):
    """What a job of trainings needs by its model, or more where earlier attempts say so."""

    def needed(wildcards, input):
        attempts = AttemptsFile.beside(FINISHED_FOLDER / f"{wildcards.job}.sha256").read()
        return raised(modelled(wildcards), attempts, job_key(wildcards.job), what) if attempts else modelled(wildcards)

    return needed
