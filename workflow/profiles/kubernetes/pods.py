#!/usr/bin/env python3
"""Run a job of Snakemake as a Kubernetes job, tell how it is, or cancel it; for the profile beside it.

    pods.py submit JOBSCRIPT      prints the name of the job
    pods.py status NAME           prints running, success or failed
    pods.py cancel NAME [NAME …]

Pods see the checkout under the path that it has here, on a volume that all of them write to (`volume_claim` and
`volume_path` of the site): run folders and checkpoints are side files, which an object store would lose. Image, memory,
processors and GPUs come from the site and from the model of the job. `kubectl` does the talking, with its own
configuration (namespace, context).
"""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

from ctmar.config import Site, load_site
from ctmar.errors import InputError

SITE = Path(__file__).parents[1] / "site.yaml"


def manifest(properties: dict, script: Path, site: Site) -> dict:
    """The job as Kubernetes reads it."""
    if not (site.container and site.volume_claim and site.volume_path):
        raise InputError("the site: expected container, volume_claim and volume_path for Kubernetes, found not all three")
    resources = properties["resources"]
    amounts = {"cpu": properties["threads"], "memory": f"{resources['mem_mb']}M"}
    if resources.get("gpu"):
        amounts["nvidia.com/gpu"] = resources["gpu"]
    rule = re.sub(r"[^a-z0-9]+", "-", str(properties.get("rule") or properties.get("groupid")).lower())
    container = {
        "name": "job",
        "image": site.container.removeprefix("docker://"),
        "command": ["bash", str(script.absolute())],
        "workingDir": str(Path.cwd()),
        "resources": {"requests": amounts, "limits": amounts},
        "env": [{"name": name, "value": os.environ[name]} for name in ("EQUIPROJ_SITE",) if name in os.environ],
        "volumeMounts": [{"name": "shared", "mountPath": site.volume_path}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": site.volume_claim}}],
        "terminationGracePeriodSeconds": 120,  # a training saves
    }
    # no retry by Kubernetes: Snakemake tries again, with what the attempt has shown
    work = {"template": {"spec": pod}, "backoffLimit": 0, "activeDeadlineSeconds": 60 * int(resources["runtime"])}
    name = f"equiproj-{rule[:30].strip('-')}-{uuid.uuid4().hex[:8]}"
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": work}


def submit(script: Path) -> str:
    """Create the job."""
    line = next(line for line in script.read_text().splitlines() if line.startswith("# properties = "))
    site = load_site(os.environ.get("EQUIPROJ_SITE") or SITE)
    job = manifest(json.loads(line.removeprefix("# properties = ")), script, site)
    subprocess.run(["kubectl", "create", "-f", "-"], input=json.dumps(job), text=True, check=True, stdout=sys.stderr)
    return str(job["metadata"]["name"])


def status(name: str) -> str:
    """How a job is; one that nobody knows any more has failed."""
    asked = ["kubectl", "get", "job", name, "--ignore-not-found", "-o", "json"]
    answer = subprocess.run(asked, text=True, capture_output=True, check=True).stdout
    if not answer.strip():
        return "failed"
    found = json.loads(answer).get("status", {})
    ended = {one["type"] for one in found.get("conditions", []) if one["status"] == "True"}
    return "success" if "Complete" in ended else "failed" if "Failed" in ended else "running"


def main() -> None:
    action, *names = sys.argv[1:]
    try:
        if action == "submit":
            print(submit(Path(names[0])))
        elif action == "status":
            print(status(names[0]))
        else:
            subprocess.run(["kubectl", "delete", "job", "--wait=false", "--ignore-not-found", *names], check=False)
    except (InputError, subprocess.CalledProcessError) as error:
        sys.exit(f"pods.py: {error}")


if __name__ == "__main__":
    main()
