#!/usr/bin/env python3
"""Submit a job of Snakemake to PBS or to Grid Engine, tell how it is, or cancel it.

The profiles `pbs` and `sge` call this for `snakemake-executor-plugin-cluster-generic`:

    scheduler.py pbs submit JOBSCRIPT      prints the id of the job
    scheduler.py pbs status ID             prints running, success or failed
    scheduler.py pbs cancel ID [ID ...]

What a job asks for stands in the job script as Snakemake wrote it: memory and time by the model, queue, project and
GPUs by workflow/profiles/site.yaml. Names of resources differ between sites more than between schedulers: `REQUESTS`
below is what to change. A job leaves its exit code in a file beside its script, because accounting is switched off or
late at many sites; a job that the scheduler no longer knows and that left none has failed.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

# how a scheduler is asked for processors, memory [MB], time [minutes], GPUs, queue and project
REQUESTS = {
    "pbs": {
        "select": "-l select=1:ncpus={threads}:mem={mem_mb}mb{gpus}",
        "gpus": ":ngpus={gpu}",
        "model": ":gpu_model={gpu_model}",
        "time": "-l walltime={hours:02d}:{minutes:02d}:00",
        "queue": "-q {slurm_partition}",
        "project": "-A {slurm_account}",
        "rest": "-N {name} -j oe -o {folder} -r n",
    },
    "sge": {
        "select": "-pe smp {threads} -l h_vmem={mem_mb_per_slot}M{gpus}",
        "gpus": ",gpu={gpu}",
        "model": ",gpu_type={gpu_model}",
        "time": "-l h_rt={hours:02d}:{minutes:02d}:00 -l s_rt={soft_seconds}",
        "queue": "-q {slurm_partition}",
        "project": "-P {slurm_account}",
        "rest": "-N {name} -j y -o {folder} -r n -S /bin/bash -terse",
    },
}
SECONDS_TO_SAVE = 120  # that Grid Engine warns before it kills
SECONDS_FOR_THE_FILE_SYSTEM = 30.0  # until an exit code that was written on a node is seen here


def properties_of(script: Path) -> dict:
    """What Snakemake wrote about a job into its script."""
    line = next(line for line in script.read_text().splitlines() if line.startswith("# properties = "))
    return json.loads(line.removeprefix("# properties = "))


def request(scheduler: str, properties: dict, folder: Path) -> list[str]:
    """The arguments of qsub."""
    words, resources = REQUESTS[scheduler], properties["resources"]
    texts = {key: shlex.quote(value) for key, value in resources.items() if isinstance(value, str)}
    known = {"threads": properties["threads"], "folder": shlex.quote(str(folder)), **resources, **texts}
    hours, minutes = divmod(int(resources["runtime"]), 60)
    name = re.sub(r"\W", "-", f"equiproj-{properties.get('rule') or properties.get('groupid')}")[:60]
    known["soft_seconds"] = max(30, 60 * int(resources["runtime"]) - SECONDS_TO_SAVE)
    known |= {"hours": hours, "minutes": minutes, "name": name}
    known["mem_mb_per_slot"] = -(-int(resources["mem_mb"]) // properties["threads"])
    parts = [words["gpus"]] * bool(resources.get("gpu")) + [words["model"]] * bool(resources.get("gpu_model"))
    known["gpus"] = "".join(parts).format(**known)
    chosen = [words["select"], words["time"], words["rest"]]
    chosen += [words["queue"]] * bool(resources.get("slurm_partition"))
    chosen += [words["project"]] * bool(resources.get("slurm_account"))
    return [word for part in chosen for word in shlex.split(part.format(**known))]


def submit(scheduler: str, script: Path) -> str:
    """Submit a job whose exit code ends up in a file that is called like its id."""
    folder = Path(".snakemake", "cluster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    inner = shlex.quote(str(script.absolute()))
    code = shlex.quote(str(folder))
    # a time limit's SIGTERM reaches all processes, and the trap lets this one live; SIGUSR1, Grid Engine's warning, is
    # for the training alone, which listens to it where all else inherits that it is ignored
    text = f"""#!/bin/bash
cd {shlex.quote(str(Path.cwd()))}
id=${{PBS_JOBID:-$JOB_ID}}
trap : TERM
trap '' USR1
bash {inner} & child=$!
while wait $child; code=$?; kill -0 $child 2>/dev/null; do :; done
echo $code > {code}/$id.part && mv {code}/$id.part {code}/$id.exit
exit $code
"""
    wrapper = folder / f"{script.name}.{os.getpid()}.sh"
    wrapper.write_text(text)
    # -V: the environment of this Snakemake, the variable EQUIPROJ_SITE among it
    command = ["qsub", "-V", *request(scheduler, properties_of(script), folder), str(wrapper)]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.split()[0].partition(".")[0] if scheduler == "sge" else done.stdout.split()[0]


def status(scheduler: str, job: str) -> str:
    """How a job is."""
    exit_code = Path(".snakemake", "cluster", f"{job}.exit")
    asked = ["qstat", *(["-j"] if scheduler == "sge" else []), job]
    known = subprocess.run(asked, capture_output=True).returncode == 0
    deadline = time.monotonic() + (0 if known else SECONDS_FOR_THE_FILE_SYSTEM)
    while not exit_code.is_file():
        if known:
            return "running"
        if time.monotonic() > deadline:
            return "failed"
        time.sleep(0.5)
    return "success" if exit_code.read_text().strip() == "0" else "failed"


def main() -> None:
    scheduler, action, *names = sys.argv[1:]
    if action == "submit":
        print(submit(scheduler, Path(names[0])))
    elif action == "status":
        print(status(scheduler, names[0]))
    else:
        subprocess.run(["qdel", *names], check=False)


if __name__ == "__main__":
    main()
