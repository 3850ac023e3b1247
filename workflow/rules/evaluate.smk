# In:  trained runs and results/pairs/test.h5.
# Out: per-slice tables of every run and of the references, step costs, and results/summary: the tables,
#      intervals and claims that the report shows.


# Measure one trained model on every test pair
rule evaluate:
    input:
        weights=f"{RUN_FOLDER}/weights.pt",
        run=f"{RUN_FOLDER}/run.json",
        test="results/pairs/test.h5",
    output:
        slices=f"{RUN_FOLDER}/slices.csv",
        model=f"{RUN_FOLDER}/model.json",
        examples=f"{RUN_FOLDER}/examples.npz",
    log:
        f"logs/evaluate/{RUN_SPACE.wildcard_pattern}.log",
    benchmark:
        f"benchmarks/results/evaluate/{RUN_SPACE.wildcard_pattern}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        gpu=GPUS_PER_TRAINING,
        mem_mb=2000,
        runtime=120,
    params:
        device=CONFIG.training.device,
        settings=settings("evaluation"),
        code=command_digest("evaluate"),
    shell:
        "ctmar evaluate {input.test} --weights {input.weights} --run-file {input.run}"
        " --slices {output.slices} --model {output.model} --examples {output.examples}"
        " --device {params.device} --settings {params.settings:q} &> {log}"


# Measure the uncorrected input and linear interpolation on every test pair
rule evaluate_references:
    input:
        "results/pairs/test.h5",
    output:
        slices="results/references/slices.csv",
        examples="results/references/examples.npz",
    log:
        "logs/evaluate_references.log",
    benchmark:
        "benchmarks/results/evaluate_references.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=settings("evaluation"),
        code=command_digest("evaluate-references"),
    shell:
        "ctmar evaluate-references {input} --slices {output.slices}"
        " --examples {output.examples} --settings {params.settings:q} &> {log}"


# Time a training step with every method and norm, side by side in one process that has the machine to itself
rule cost:
    input:
        "results/pairs/train.h5",
    output:
        "results/cost.csv",
    log:
        "logs/cost.log",
    benchmark:
        "benchmarks/results/cost.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        gpu=GPUS_PER_TRAINING,
        mem_mb=4000,
        runtime=60,
    params:
        study=settings("study"),
        training=settings("training"),
        settings=settings("timing"),
        code=command_digest("cost"),
    shell:
        "ctmar cost {input} --output {output} --study {params.study:q}"
        " --training {params.training:q} --settings {params.settings:q} &> {log}"


# Join the tables of all runs; intervals, paired differences to the plain network, and the paper's claims
rule summarise:
    input:
        runs=expand(
            "{folder}/{file}",
            folder=RUN_FOLDERS,
            file=["run.json", "metrics.jsonl", "slices.csv", "model.json"],
        ),
        references="results/references/slices.csv",
        cost="results/cost.csv",
    output:
        models="results/summary/models.csv",
        sizes="results/summary/sizes.csv",
        materials="results/summary/materials.csv",
        runs="results/summary/runs.csv",
        references="results/summary/references.csv",
        curves="results/summary/curves.csv",
        slices="results/summary/slices.parquet",
        claims="results/summary/claims.json",
        questions="results/summary/questions.json",
    log:
        "logs/summarise.log",
    benchmark:
        "benchmarks/results/summarise.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folders=RUN_FOLDERS,
        settings=settings("judgement"),
        code=command_digest("summarise"),
    shell:
        "ctmar summarise {params.folders} --references {input.references} --cost {input.cost}"
        " --output results/summary --settings {params.settings:q} &> {log}"
