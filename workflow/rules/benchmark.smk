# Not part of the study: snakemake benchmarks
# In:  nothing, or the public DICOM series.
# Out: benchmarks/results: costs and speeds as ratios measured side by side in one run.


# Every benchmark, one after the other
rule benchmarks:
    input:
        "benchmarks/results/penalty_cost.csv",
        "benchmarks/results/training_cost.csv",
        "benchmarks/results/reading_speed.txt",
        "benchmarks/results/simulation_speed.txt",
        "benchmarks/results/projector_speed.txt",
        "benchmarks/results/ingest_speed.txt",
    localrule: True


# The penalty of every norm beside the training step of an ACDNet-sized network
rule benchmark_penalty:
    output:
        table="benchmarks/results/penalty_cost.csv",
    log:
        "logs/benchmark_penalty.log",
    benchmark:
        "benchmarks/results/benchmark_penalty.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        script=workflow.source_path("../../benchmarks/penalty_cost.py"),
        stem=lambda wildcards, output: output.table.removesuffix(".csv"),
        code=script_digest("../../benchmarks/penalty_cost.py"),
    shell:
        "python {params.script} --output {params.stem} &> {log}"


# Step time and memory of every method and norm, and our training step beside a straightforward one, with ACDNet
rule benchmark_training:
    output:
        table="benchmarks/results/training_cost.csv",
        speed="benchmarks/results/training_cost_speed.csv",
        text="benchmarks/results/training_cost.txt",
    log:
        "logs/benchmark_training.log",
    benchmark:
        "benchmarks/results/benchmark_training.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        gpu=GPUS_PER_TRAINING,
        mem_mb=16000,
        runtime=120,
    params:
        script=workflow.source_path("../../benchmarks/training_cost.py"),
        stem=lambda wildcards, output: output.table.removesuffix(".csv"),
        device=CONFIG.training.device,
        code=script_digest("../../benchmarks/training_cost.py"),
    shell:
        "python {params.script} --device {params.device} --output {params.stem} &> {log}"


# Pairs per second of the simulation beside the naive pipeline and ODL
rule benchmark_simulation:
    output:
        "benchmarks/results/simulation_speed.txt",
    log:
        "logs/benchmark_simulation.log",
    benchmark:
        "benchmarks/results/benchmark_simulation.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        script=workflow.source_path("../../benchmarks/simulation_speed.py"),
        code=script_digest("../../benchmarks/simulation_speed.py"),
    shell:
        "python {params.script} --threads {threads} > {output} 2> {log}"


# Projector and reconstruction in numba, in torch on the CPU, and on the GPU where the training uses one
rule benchmark_projector:
    output:
        "benchmarks/results/projector_speed.txt",
    log:
        "logs/benchmark_projector.log",
    benchmark:
        "benchmarks/results/benchmark_projector.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=GPUS_PER_TRAINING,
    params:
        script=workflow.source_path("../../benchmarks/projector_speed.py"),
        device=CONFIG.training.device,
        code=script_digest("../../benchmarks/projector_speed.py"),
    shell:
        "python {params.script} --device {params.device} --threads {threads} > {output} 2> {log}"


# Slices per second of the ingestion beside a plain pydicom loop
rule benchmark_ingest:
    input:
        "resources/packages",
    output:
        "benchmarks/results/ingest_speed.txt",
    log:
        "logs/benchmark_ingest.log",
    benchmark:
        "benchmarks/results/benchmark_ingest.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        script=workflow.source_path("../../benchmarks/ingest_speed.py"),
        code=script_digest("../../benchmarks/ingest_speed.py"),
    shell:
        "python {params.script} {input}/abdomen-petct --threads {threads} > {output} 2> {log}"


# Samples per second of reading patches beside the training step
rule benchmark_reading:
    output:
        "benchmarks/results/reading_speed.txt",
    log:
        "logs/benchmark_reading.log",
    benchmark:
        "benchmarks/results/benchmark_reading.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: ALL_CORES
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        script=workflow.source_path("../../benchmarks/reading_speed.py"),
        code=script_digest("../../benchmarks/reading_speed.py"),
    shell:
        "python {params.script} > {output} 2> {log}"
