# In:  results/summary, the examples of every run, and what is known of the data.
# Out: reports/index.html (one file, no network), the model card and the dataset card.


# Keep the whole configuration, defaults filled in, beside the results
rule configuration:
    output:
        "results/config.yaml",
    log:
        "logs/configuration.log",
    benchmark:
        "benchmarks/results/configuration.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        text=json.dumps(CONFIG.published(), indent=2),
    shell:
        "printf '%s\\n' {params.text:q} > {output} 2> {log}"


# Assemble the report
rule report:
    input:
        models="results/summary/models.csv",
        sizes="results/summary/sizes.csv",
        materials="results/summary/materials.csv",
        runs="results/summary/runs.csv",
        references="results/summary/references.csv",
        curves="results/summary/curves.csv",
        claims="results/summary/claims.json",
        questions="results/summary/questions.json",
        cost="results/cost.csv",
        reference_examples="results/references/examples.npz",
        examples=expand("{folder}/examples.npz", folder=RUN_FOLDERS),
        catalogue="results/data/catalogue.csv",
        quarantine="results/data/quarantine.csv",
        thumbnails="results/data/thumbnails.npz",
        split="results/data/split.csv",
        config="results/config.yaml",
    output:
        page=report(
            "reports/index.html",
            category="Study",
            caption="../report/index.rst",
            labels={"what": "the whole report"},
        ),
        model_card=report("reports/model_card.md", category="Cards", labels={"what": "model card"}),
        dataset_card=report("reports/dataset_card.md", category="Cards", labels={"what": "dataset card"}),
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/results/report.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        sources=SOURCES_OPTION,
        code=command_digest("report"),
    shell:
        "ctmar report results --config {input.config} {params.sources} --output {output.page}"
        " --model-card {output.model_card} --dataset-card {output.dataset_card} 2>&1 | tee {log}"
