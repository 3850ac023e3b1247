# In:  results/data/slices.h5 and the split.
# Out: results/pairs/<subset>.h5, slices with and without simulated metal artefacts.


# Draw metal masks and simulate their artefacts for one subset
rule simulate:
    input:
        slices="results/data/slices.h5",
        split="results/data/split.csv",
    output:
        "results/pairs/{subset}.h5",
    log:
        "logs/simulate/{subset}.log",
    benchmark:
        "benchmarks/results/simulate/{subset}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("simulation"),
        code=code_digest("ctmar.simulation", "ctmar.store"),
    shell:
        "ctmar simulate-subset {input.slices} --split {input.split} --subset {wildcards.subset}"
        " --output {output} --settings {params.settings:q} --threads {threads} 2>&1 | tee {log}"
