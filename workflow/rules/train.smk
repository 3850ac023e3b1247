# In:  resources/pairs/KEY/{train,validation,test,signals}.h5.
# Out: results/STUDY/runs/<network>/<setting>/seed-<n>: weights.pt, metrics.jsonl and run.json of the training,
#      slices.csv, model.json and examples.npz of the measurement on the test pairs; results/STUDY/jobs/<job>.sha256, the
#      list of all files of the job's runs.


# Train and measure some runs on the same pairs; a killed job goes on with the run it was at, from its checkpoint.pt
rule train:
    input:
        train=lambda wildcards: f"{pairs_of(wildcards)}/train.h5",
        validation=lambda wildcards: f"{pairs_of(wildcards)}/validation.h5",
        test=lambda wildcards: f"{pairs_of(wildcards)}/test.h5",
        signals=lambda wildcards: f"{pairs_of(wildcards)}/signals.h5" if HAS_SIGNALS else [],
        split=lambda wildcards: f"{pairs_of(wildcards)}/split.csv",
    output:
        f"{RESULTS}/jobs/{{job}}.sha256",
    log:
        f"{LOGS}/train/{{job}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{job}}.tsv"
    conda:
        "../../envs/ctmar.yaml"
    threads: threads_of_job
    resources:
        **on_site(after_attempts, n_gpus=GPUS_PER_TRAINING),
        workers=trained_at_a_time,
        attempt=lambda wildcards, attempt: attempt,
    params:
        job=job_settings_with_paths,
        settings=job_settings,
        weights=weights_of,
        training=settings("training"),
        evaluation=settings("evaluation"),
        pairs=subpath(input.train, parent=True),
        results=subpath(output[0], ancestor=2),
        code=command_digest("train-and-evaluate"),
        own_code=own_code,
        metrics_code=metrics_code,
        extensions=extensions,
        signals=signals_option,
        origin=origin,
    shell:
        "ctmar train-and-evaluate {params.pairs:q} --split {input.split:q} --job {params.job:q}"
        " --output {params.results:q}/runs --finished {output:q} --settings {params.training:q}"
        " --evaluation {params.evaluation:q} {params.signals:q} {params.extensions:q}"
        " --workers {resources.workers} --gpus {resources.gpu}"
        ' --granted \'{{"settings": "{params.origin}", "number": {resources.attempt},'
        ' "memory_mb": {resources.mem_mb}, "minutes": {resources.runtime}}}\''
        " 2>&1 | tee {log:q}"
