# In:  finished runs.
# Out: results/STUDY/mlflow: an MLflow mirror of the study. One local job makes the database, one writes the runs,
#      and neither can fail or hold up the study.


# Create the database, the experiment and the study's parent run
rule track_initialise:
    output:
        f"{RESULTS}/mlflow/parent.json",
    log:
        f"{LOGS}/track_initialise.log",
    benchmark:
        f"{BENCHMARKS}/track_initialise.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        settings=settings("tracking"),
        study=settings("study"),
        code=command_digest("track-initialise"),
    shell:
        "ctmar track-initialise --output {output:q} --settings {params.settings:q}"
        " --study {params.study:q} 2>&1 | tee {log:q}"


# Mirror every finished run; the same run is never written twice
rule track_synchronise:
    input:
        parent=f"{RESULTS}/mlflow/parent.json",
        references=f"{RESULTS}/references/examples.npz",
        folders=f"{RESULTS}/runs.txt",
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
        report=settings("report"),
        code=command_digest("track-synchronise"),
    shell:
        "ctmar track-synchronise @{input.folders:q} --parent {input.parent:q} --output {output:q}"
        " --report {params.report:q} 2>&1 | tee {log:q}"
