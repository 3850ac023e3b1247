# In:  finished runs.
# Out: results/mlflow: an MLflow mirror of the study. One local job makes the database, one writes the runs,
#      and neither can fail or hold up the study.


# Create the database, the experiment and the study's parent run
rule track_initialise:
    output:
        "results/mlflow/parent.json",
    log:
        "logs/track_initialise.log",
    benchmark:
        "benchmarks/results/track_initialise.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        settings=settings("tracking"),
        study=settings("study"),
        code=command_digest("track-initialise"),
    shell:
        "ctmar track-initialise --output {output} --settings {params.settings:q}"
        " --study {params.study:q} 2>&1 | tee {log}"


# Mirror every finished run; the same run is never written twice
rule track_synchronise:
    input:
        parent="results/mlflow/parent.json",
        references="results/references/examples.npz",
        runs=expand(
            "{folder}/{file}",
            folder=RUN_FOLDERS,
            file=["run.json", "metrics.jsonl", "slices.csv", "model.json", "examples.npz"],
        ),
    output:
        "results/mlflow/synchronised.json",
    log:
        "logs/track_synchronise.log",
    benchmark:
        "benchmarks/results/track_synchronise.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        folders=RUN_FOLDERS,
        code=command_digest("track-synchronise"),
    shell:
        "ctmar track-synchronise {params.folders} --parent {input.parent} --output {output} 2>&1 | tee {log}"
