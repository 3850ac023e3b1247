# In:  trained and measured runs, and resources/pairs/KEY/{train,test}.h5.
# Out: per-slice tables of the references, step costs, and results/STUDY/summary: the tables, intervals and claims that
#      the report shows.


# Measure the uncorrected input and linear interpolation on every test pair
rule evaluate_references:
    input:
        test=f"{BASE_PAIRS}/test.h5",
        split=f"{BASE_PAIRS}/split.csv",
    output:
        slices=f"{RESULTS}/references/slices.csv",
        examples=f"{RESULTS}/references/examples.npz",
    log:
        f"{LOGS}/evaluate_references.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_references.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.references()),
    params:
        folder=subpath(output.slices, parent=True),
        settings=settings("evaluation"),
        code=command_digest("evaluate-references"),
        metrics_code=METRICS_CODE,
        extensions=metrics_extensions,
    shell:
        "ctmar evaluate-references {input.test:q} {params.folder:q} --split {input.split:q} --settings {params.settings:q}"
        " {params.extensions:q} &> {log:q}"


# Time a training step with every method and norm, side by side in one process that has the machine to itself
rule cost:
    input:
        f"{BASE_PAIRS}/train.h5",
    output:
        f"{RESULTS}/cost.csv",
    log:
        f"{LOGS}/cost.log",
    benchmark:
        f"{BENCHMARKS}/cost.tsv"
    # as soon as no job runs; what needs one core then runs beside what waits for this
    priority: 1
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        **on_site(TRAINING.cost_job(), n_gpus=min(1, GPUS_PER_TRAINING)),
    params:
        study=settings_with_paths("study"),
        networks=settings("study"),
        training=settings("training"),
        settings=settings("timing"),
        code=command_digest("cost"),
        own_code=OWN_CODE,
        extensions=extensions,
    shell:
        "ctmar cost {input:q} --output {output:q} --study {params.study:q}"
        " --training {params.training:q} --settings {params.settings:q} {params.extensions:q} &> {log:q}"


# List the folders and the checksums of all runs: five thousand names are too long for a command line
rule list_runs:
    input:
        [f"{RESULTS}/jobs/{job}.sha256" for job in JOBS],
    output:
        folders=f"{RESULTS}/runs.txt",
        finished=FINISHED,
    log:
        f"{LOGS}/list_runs.log",
    benchmark:
        f"{BENCHMARKS}/list_runs.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        runs=RUN_NAMES,
    script:
        "../scripts/list_runs.py"


# Join the tables of all runs; intervals, paired differences to the plain network, and the paper's claims
rule summarise:
    input:
        finished=FINISHED,
        folders=f"{RESULTS}/runs.txt",
        references=f"{RESULTS}/references/slices.csv",
        cost=f"{RESULTS}/cost.csv",
    output:
        models=f"{RESULTS}/summary/models.csv",
        sizes=f"{RESULTS}/summary/sizes.csv",
        materials=f"{RESULTS}/summary/materials.csv",
        runs=f"{RESULTS}/summary/runs.csv",
        diverged=f"{RESULTS}/summary/diverged.csv",
        not_finite=f"{RESULTS}/summary/not_finite.csv",
        references=f"{RESULTS}/summary/references.csv",
        curves=f"{RESULTS}/summary/curves.csv",
        dial=f"{RESULTS}/summary/dial.csv",
        norms=f"{RESULTS}/summary/norms_at_defect.csv",
        layers=f"{RESULTS}/summary/layers.csv",
        layer_curves=f"{RESULTS}/summary/layer_curves.csv",
        variances=f"{RESULTS}/summary/variances.csv",
        slices=f"{RESULTS}/summary/slices.parquet",
        claims=f"{RESULTS}/summary/claims.json",
        questions=f"{RESULTS}/summary/questions.json",
    log:
        f"{LOGS}/summarise.log",
    benchmark:
        f"{BENCHMARKS}/summarise.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.summary(len(RUNS))),
    params:
        folder=subpath(output.models, parent=True),
        settings=settings("judgement"),
        code=command_digest("summarise"),
    shell:
        "ctmar summarise @{input.folders:q} --references {input.references:q} --cost {input.cost:q}"
        " --output {params.folder:q} --settings {params.settings:q} &> {log:q}"
