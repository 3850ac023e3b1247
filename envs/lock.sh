#!/usr/bin/env bash
# Resolve the pinned versions of envs/ again. Run through `make locks`.
set -euo pipefail
compile() {
    pip-compile --quiet --upgrade --no-annotate --no-header --strip-extras \
        --no-emit-index-url --no-emit-find-links --extra workflow "$@" pyproject.toml
    # a local build of torch is called 2.13.0+cpu, the pin is the release; an extra that names another one (`workflow` is
    # `ctmar` and Snakemake) lists this repository itself
    sed --in-place --regexp-extended 's/^(torch==[0-9.]+)\+cpu$/\1/; /^#/d; /^$/d; /^equiproj( |$)/d' "${@: -1}"
}
compile --constraint envs/pins.txt --output-file envs/cpu.txt
compile --constraint envs/cpu.txt --extra test --extra docs --extra dev --output-file envs/cpu-test.txt
python envs/lock_gpu.py envs/cpu.txt envs/gpu.txt
