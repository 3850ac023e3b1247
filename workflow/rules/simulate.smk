# In:  results/data/slices.h5 and the split, or a copy of SynDeepLesion with pairs of its own.
# Out: results/pairs/<subset>.h5, slices with and without metal artefacts. Simulated, they are one data set over the
#      shards beside it, as many as the configuration says, each made by a job of its own.

if CONFIG.simulation.pairs == "stored":

    ruleorder: import_pairs > join_pairs

else:

    ruleorder: join_pairs > import_pairs


# Simulate the artefacts of metal masks in one shard of a subset
rule simulate:
    input:
        slices="results/data/slices.h5",
        split="results/data/split.csv",
        masks=CONFIG.simulation.mask_folder or [],
    output:
        "results/pairs/{subset}-{shard}.h5",
    log:
        "logs/simulate/{subset}-{shard}.log",
    benchmark:
        "benchmarks/results/simulate/{subset}-{shard}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("simulation"),
        n_shards=CONFIG.simulation.shards,
        code=command_digest("simulate-subset"),
    shell:
        "ctmar simulate-subset {input.slices} --split {input.split} --subset {wildcards.subset}"
        " --shard {wildcards.shard} --n-shards {params.n_shards}"
        " --output {output} --settings {params.settings:q} --threads {threads} 2>&1 | tee {log}"


# Read the shards of a subset as one data set
rule join_pairs:
    input:
        lambda wildcards: [f"results/pairs/{wildcards.subset}-{shard}.h5" for shard in range(CONFIG.simulation.shards)],
    output:
        "results/pairs/{subset}.h5",
    log:
        "logs/simulate/{subset}.log",
    benchmark:
        "benchmarks/results/simulate/{subset}.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=command_digest("join-pairs"),
    shell:
        "ctmar join-pairs {input} --output {output} 2>&1 | tee {log}"


# Take the pairs that were published with the slices
rule import_pairs:
    input:
        folder=SOURCE_READY,
        split="results/data/split.csv",
        salt=CONFIG.ingest.salt_file or [],
    output:
        pairs="results/pairs/{subset}.h5",
        quarantine="results/pairs/{subset}-quarantine.csv",
    log:
        "logs/import_pairs/{subset}.log",
    benchmark:
        "benchmarks/results/import_pairs/{subset}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        settings=settings("ingest"),
        code=command_digest("import-pairs"),
    shell:
        "ctmar import-pairs {input.folder} --subset {wildcards.subset} --split {input.split}"
        " --output {output.pairs} --quarantine {output.quarantine} --settings {params.settings:q} 2>&1 | tee {log}"
