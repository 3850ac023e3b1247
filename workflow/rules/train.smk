# In:  resources/pairs/KEY/{train,validation,test,signals}.h5.
# Out: results/STUDY/runs/<network>/<setting>/seed-<n>: weights.pt, metrics.jsonl, layers.jsonl, kernels.npz and
#      run.json of the training, slices.csv, model.json and examples.npz of the measurement on the test pairs;
#      results/STUDY/jobs/<job>.sha256, the list of all files of the job's runs.


# Train and measure some runs on the same pairs; a killed job goes on with the run it was at, from its checkpoint.pt
rule train:
    input:
        unpack(pairs_of),
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
        task=task,
        code=command_digest("train-and-evaluate"),
        origin=origin,
    shell:
        "ctmar train-and-evaluate {params.task:q} --finished {output:q}"
        " --workers {resources.workers} --gpus {resources.gpu}"
        ' --granted \'{{"settings": "{params.origin}", "number": {resources.attempt},'
        ' "memory_mb": {resources.mem_mb}, "minutes": {resources.runtime}}}\''
        " 2>&1 | tee {log:q}"
