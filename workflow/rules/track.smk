# In:  runs, finished or not.
# Out: results/STUDY/mlflow: an MLflow mirror of the study, which can neither fail nor hold it up. While the study runs, a
#      process beside Snakemake mirrors what trains; one local job does the rest, and runs again if anything is missing.
from ctmar.tracking.workflow import Follower, next_attempt, synchronise_once, what_is_missing

FOLLOWER = Follower(RESULTS, f"{LOGS}/track_follow.log")


# Mirror what the follower has not mirrored yet; a number that changes after a failure makes the next Snakemake try again
rule track_synchronise:
    input:
        config=f"{RESULTS}/config.yaml",
        references=f"{RESULTS}/references/examples.npz",
        finished=FINISHED,
    output:
        f"{RESULTS}/mlflow/synchronised.json",
    log:
        f"{LOGS}/track_synchronise.log",
    benchmark:
        f"{BENCHMARKS}/track_synchronise.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        results=subpath(input.config, parent=True),
        attempt=lambda wildcards: next_attempt(placed(RESULTS)),
        settings=settings("tracking"),
        code=command_digest("sync"),
    shell:
        "ctmar sync {params.results:q} --attempt {params.attempt} 2>&1 | tee {log:q}"


# Snakemake calls these in a workflow that is no module, never in a dry run, and not in the jobs that it submits.
onsuccess:
    FOLLOWER.end()
    if CONFIG.tracking.enabled and what_is_missing(RESULTS):
        print(f"equiproj: {what_is_missing(RESULTS)}", file=sys.stderr)
