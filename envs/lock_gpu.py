"""Write the GPU lock: the CPU lock plus the CUDA packages that the CUDA build of torch asks for.

Usage: python envs/lock_gpu.py envs/cpu.txt envs/gpu.txt
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def cuda_packages(torch_pin: str) -> list[str]:
    """Ask pip, without local wheel folders, what the released torch needs beyond the CPU build."""
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    environment["PIP_CONFIG_FILE"] = os.devnull
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += ["--report", "-", torch_pin]
    report = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    found = [(item["metadata"]["name"].lower(), item["metadata"]["version"]) for item in report["install"]]
    return [f"{name}=={version}" for name, version in found if name.startswith(("nvidia-", "cuda-", "triton"))]


def main() -> None:
    """Read the CPU lock, write the GPU lock."""
    source, target = map(Path, sys.argv[1:3])
    pins = source.read_text().split()
    torch_pin = next(pin for pin in pins if pin.startswith("torch=="))
    target.write_text("\n".join(sorted({*pins, *cuda_packages(torch_pin)})) + "\n")


if __name__ == "__main__":
    main()
