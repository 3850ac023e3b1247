# In:  results/STUDY/summary, the examples of every run, and what is known of the data.
# Out: reports/STUDY: index.html (one file, no network), the model card, the dataset card, and what reports/index.html,
#      the list of all studies of the checkout, says of this one. The list belongs to no single study, so it is no output.
#      reports/STUDY/paper: the same as figures, tables and texts for a paper.


# Keep the whole configuration, defaults filled in, beside the results
rule configuration:
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{LOGS}/configuration.log",
    benchmark:
        f"{BENCHMARKS}/configuration.tsv"
    # the mirror of what trains needs it from the start
    priority: 1
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        text=lambda wildcards: json.dumps(CONFIG.published(), indent=2),
    shell:
        "printf '%s\\n' {params.text:q} > {output:q} 2> {log:q}"


# Assemble the report
rule report:
    input:
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
        claims=f"{RESULTS}/summary/claims.json",
        questions=f"{RESULTS}/summary/questions.json",
        cost=f"{RESULTS}/cost.csv",
        reference_examples=f"{RESULTS}/references/examples.npz",
        finished=FINISHED,
        catalogue=f"{RESULTS}/data/catalogue.csv",
        quarantine=f"{RESULTS}/data/quarantine.csv",
        thumbnails=f"{RESULTS}/data/thumbnails.npz",
        split=f"{RESULTS}/data/split.csv",
        stored_pairs=expand(
            "{results}/data/{subset}-quarantine.csv",
            results=RESULTS,
            subset=SUBSETS if CONFIG.simulation.pairs == "stored" else [],
        ),
        config=f"{RESULTS}/config.yaml",
        # where somebody ran the study under several kernels: benchmarks/kernels.py
        kernels=[path for path in [f"{RESULTS}/kernels.json"] if os.path.isfile(placed(path))],
        source=SOURCE_READY if SOURCES_LIST else [],
    output:
        page=report(
            f"{REPORTS}/index.html",
            category="Study",
            caption="../report/index.rst",
            labels={"what": "the whole report"},
        ),
        model_card=report(f"{REPORTS}/model_card.md", category="Cards", labels={"what": "model card"}),
        dataset_card=report(f"{REPORTS}/dataset_card.md", category="Cards", labels={"what": "dataset card"}),
        description=f"{REPORTS}/study.json",
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.report(len(RUNS))),
    params:
        results=subpath(input.config, parent=True),
        sources=sources_option,
        reports=subpath(output.page, ancestor=2),
        code=[command_digest("report"), command_digest("list-reports")],
    shell:
        "(ctmar report {params.results:q} --config {input.config:q} {params.sources:q} --output {output.page:q}"
        " --model-card {output.model_card:q} --dataset-card {output.dataset_card:q} --description {output.description:q}"
        " && ctmar list-reports {params.reports:q}) 2>&1 | tee {log:q}"


# What a paper needs of the report: figures, tables, references, methods, and what every column means
rule paper:
    input:
        page=f"{REPORTS}/index.html",
        config=f"{RESULTS}/config.yaml",
        source=SOURCE_READY if SOURCES_LIST else [],
    output:
        directory(f"{REPORTS}/paper"),
    log:
        f"{LOGS}/paper.log",
    benchmark:
        f"{BENCHMARKS}/paper.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.report(len(RUNS))),
    params:
        results=subpath(input.config, parent=True),
        sources=sources_option,
        code=command_digest("paper"),
    shell:
        "ctmar paper {params.results:q} --config {input.config:q} --page {input.page:q} {params.sources:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
