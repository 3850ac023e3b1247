# In:  results/pairs/{train,validation}.h5.
# Out: results/runs/<run>/{weights.pt,metrics.jsonl,run.json}, one folder for each network, method, norm,
#      λ⊥, λ_G and seed of the configuration.


# Train one model; a killed job goes on from its checkpoint, which is no output so that Snakemake keeps it
rule train:
    input:
        train="results/pairs/train.h5",
        validation="results/pairs/validation.h5",
        start=lambda wildcards: CONFIG.study.networks[wildcards.network].weights or [],
    output:
        weights=f"{RUN_FOLDER}/weights.pt",
        metrics=f"{RUN_FOLDER}/metrics.jsonl",
        run=f"{RUN_FOLDER}/run.json",
    log:
        f"logs/train/{RUN_SPACE.wildcard_pattern}.log",
    benchmark:
        f"benchmarks/results/train/{RUN_SPACE.wildcard_pattern}.tsv"
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
        group_order=CONFIG.study.group_order,
        power=CONFIG.study.power,
        checkpoint=f"results/checkpoints/{RUN_SPACE.wildcard_pattern}.pt",
        code=command_digest("train"),
    shell:
        "ctmar train {input.train} {input.validation} --weights {output.weights}"
        " --metrics {output.metrics} --run-file {output.run} --checkpoint {params.checkpoint}"
        " --run {params.run:q} --network {params.network:q} --settings {params.training:q}"
        " --group-order {params.group_order} --power {params.power} 2>&1 | tee {log}"
