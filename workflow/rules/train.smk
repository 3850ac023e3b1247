# In:  resources/pairs/KEY/{train,validation}.h5.
# Out: results/STUDY/runs/<run>/{weights.pt,metrics.jsonl,run.json}, one folder for each network, method, norm,
#      λ⊥, λ_G and seed of the configuration.


# Train one model; a killed job goes on from checkpoint.pt in its folder, which is no output so that Snakemake keeps it
rule train:
    input:
        train=f"{PAIRS}/train.h5",
        validation=f"{PAIRS}/validation.h5",
        start=lambda wildcards: network_of(wildcards).weights or [],
    output:
        weights=f"{RUN_FOLDER}/weights.pt",
        metrics=f"{RUN_FOLDER}/metrics.jsonl",
        run=f"{RUN_FOLDER}/run.json",
    log:
        f"{LOGS}/train/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{run}}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: CONFIG.training.threads + CONFIG.training.reader_processes
    resources:
        gpu=GPUS_PER_TRAINING,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        run=run_settings,
        network=network_settings,
        training=settings("training"),
        group=CONFIG.study.group,
        folder=subpath(output.weights, parent=True),
        code=command_digest("train"),
        own_code=own_code,
        extensions=extensions,
    shell:
        "ctmar train {input.train:q} {input.validation:q} --output {params.folder:q}"
        " --run {params.run:q} --network {params.network:q} --settings {params.training:q}"
        " --group {params.group:q} {params.extensions:q} 2>&1 | tee {log:q}"
