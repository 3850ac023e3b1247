# In:  slices and their split, or a copy of SynDeepLesion with pairs of its own.
# Out: resources/pairs/KEY/<subset>.h5, slices with and without metal artefacts, shared by studies with the same
#      settings. Simulated, they are one data set over the shards beside it, as many as the configuration says, each made
#      by a job of its own. resources/pairs/KEY/signals.h5: some test images with low-contrast discs and without.

if CONFIG.simulation.pairs == "stored":

    ruleorder: import_pairs > join_pairs

else:

    ruleorder: join_pairs > import_pairs


# Simulate the artefacts of metal masks in one shard of a subset; one thread, because shards and subsets fill the cores
rule simulate:
    input:
        slices=f"{SLICES}/slices.h5",
        split="resources/pairs/{pairs}/split.csv",
        masks=given(CONFIG.simulation.mask_folder),
    output:
        "resources/pairs/{pairs}/{subset}-{shard}.h5",
    log:
        f"{LOGS}/simulate/{{pairs}}/{{subset}}-{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/simulate/{{pairs}}/{{subset}}-{{shard}}.tsv"
    # pairs come before what waits for them, so that no core waits
    priority: 2
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(lambda wildcards: DATA.simulation(wildcards.subset, threads=1)),
    params:
        settings=lambda wildcards, input: as_json_with_paths(SIMULATIONS[wildcards.pairs]),
        simulation=lambda wildcards: as_json(SIMULATIONS[wildcards.pairs]),
        n_shards=CONFIG.simulation.shards,
        code=command_digest("simulate-subset"),
    shell:
        "ctmar simulate-subset {input.slices:q} --split {input.split:q} --subset {wildcards.subset:q}"
        " --shard {wildcards.shard:q} --n-shards {params.n_shards:q}"
        " --output {output:q} --settings {params.settings:q} --threads {threads} 2>&1 | tee {log:q}"


# Read the shards of a subset as one data set
rule join_pairs:
    input:
        expand("resources/pairs/{{pairs}}/{{subset}}-{shard}.h5", shard=range(CONFIG.simulation.shards)),
    output:
        "resources/pairs/{pairs}/{subset}.h5",
    log:
        f"{LOGS}/simulate/{{pairs}}/{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/simulate/{{pairs}}/{{subset}}.tsv"
    priority: 2
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        code=command_digest("join-pairs"),
    shell:
        "ctmar join-pairs {input:q} --output {output:q} 2>&1 | tee {log:q}"


# Simulate some test images with low-contrast discs near the metal and without
rule simulate_signals:
    input:
        slices=f"{SLICES}/slices.h5",
        split="resources/pairs/{pairs}/split.csv",
        masks=given(CONFIG.simulation.mask_folder),
    output:
        "resources/pairs/{pairs}/signals.h5",
    log:
        f"{LOGS}/simulate/{{pairs}}/signals.log",
    benchmark:
        f"{BENCHMARKS}/simulate/{{pairs}}/signals.tsv"
    priority: 2
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.signals(threads=1)),
    params:
        settings=lambda wildcards, input: as_json_with_paths(SIMULATIONS[wildcards.pairs]),
        simulation=lambda wildcards: as_json(SIMULATIONS[wildcards.pairs]),
        code=command_digest("simulate-signals"),
    shell:
        "ctmar simulate-signals {input.slices:q} --split {input.split:q} --output {output:q}"
        " --settings {params.settings:q} --threads {threads} 2>&1 | tee {log:q}"


# Take the pairs that were published with the slices
rule import_pairs:
    input:
        folder=SOURCE_READY,
        split="resources/pairs/{pairs}/split.csv",
    output:
        pairs="resources/pairs/{pairs}/{subset}.h5",
        quarantine="resources/pairs/{pairs}/{subset}-quarantine.csv",
    log:
        f"{LOGS}/import_pairs/{{pairs}}/{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/import_pairs/{{pairs}}/{{subset}}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.import_pairs()),
    params:
        settings=settings_with_paths("ingest"),
        ingest=settings("ingest"),
        code=command_digest("import-pairs"),
    shell:
        "ctmar import-pairs {input.folder:q} --subset {wildcards.subset:q} --split {input.split:q}"
        " --output {output.pairs:q} --quarantine {output.quarantine:q} --settings {params.settings:q}"
        " 2>&1 | tee {log:q}"
