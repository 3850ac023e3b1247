# In:  a finished study.
# Out: results/STUDY/provenance.json: code, configuration, environment, machine and checksums; results/STUDY/inputs: what
#      the study was given and a re-run needs. `ctmar bundle` makes of it what can be published.
from ctmar.store.checkout import Checkout


# List slices and pairs with their checksums: read once, because there may be many gigabytes of them
rule data_checksums:
    input:
        f"{SLICES}/slices.h5",
        expand("resources/pairs/{pairs}/{subset}.h5", pairs=SIMULATIONS, subset=SUBSETS),
        expand("resources/pairs/{pairs}/signals.h5", pairs=SIMULATIONS if HAS_SIGNALS else []),
    output:
        f"{RESULTS}/data.sha256",
    log:
        f"{LOGS}/data_checksums.log",
    benchmark:
        f"{BENCHMARKS}/data_checksums.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.checksums()),
    params:
        folders=lambda wildcards, input: sorted({os.path.dirname(path) for path in input}),
        code=command_digest("checksums"),
    shell:
        "ctmar checksums {params.folders:q} --output {output:q} 2>&1 | tee {log:q}"


# Say where the study came from; another commit runs this again and nothing else
rule provenance:
    input:
        page=f"{REPORTS}/index.html",
        config=f"{RESULTS}/config.yaml",
        data=f"{RESULTS}/data.sha256",
        finished=FINISHED,
        source=SOURCE_READY if SOURCES_LIST else [],
    output:
        record=f"{RESULTS}/provenance.json",
        inputs=directory(f"{RESULTS}/inputs"),
    log:
        f"{LOGS}/provenance.log",
    benchmark:
        f"{BENCHMARKS}/provenance.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    params:
        results=subpath(output.record, parent=True),
        reports=subpath(input.page, parent=True),
        given=given_files,
        manifest=MANIFEST_SHA256,
        own_code=OWN_CODE,
        code=command_digest("provenance"),
        checkout=Checkout().state,
    shell:
        "ctmar provenance {params.results:q} --config {input.config:q} --reports {params.reports:q}"
        " --output {output.record:q} --inputs {output.inputs:q} {params.given:q} 2>&1 | tee {log:q}"
