"""Do the verdicts of a study travel? The same study with the kernels of other processors.

    python benchmarks/kernels.py --configfile config/config.yaml --cores 2

The study NAME is made as it is, and once more as NAME-<kernels> for each other setting, from the same pairs: settings
are environment variables that limit which instructions torch and oneDNN use. What differs goes to
results/NAME/kernels.json, from which the report of NAME shows it, and as a table to the screen. Networks start from
weights that torch draws, whose last digits depend on the kernels too; the simulation is not repeated.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from ctmar.config import load_config
from ctmar.evaluation.kernels import compare_kernels, comparison_table, kernels_of_study, write_comparison

OWN = "this machine"
KERNELS = {
    OWN: {},
    # a processor without AVX-512: other convolutions
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    # torch's own kernels without vector instructions: other elementwise functions, hence other draws of the weights
    "scalar": {"ATEN_CPU_CAPABILITY": "default"},
}


def run_study(configfile: Path, name: str, kernels: str, cores: str, target: str) -> None:
    """Make a target of the study under another name, with the kernels of a setting."""
    command = ["snakemake", "--workflow-profile", "workflow/profiles/default", "--cores", cores, target]
    command += ["--configfile", str(configfile), "--config", f"study={json.dumps({'name': name})}"]
    # what it prints is progress: the table alone goes to stdout
    subprocess.run(command, check=True, env=os.environ | KERNELS[kernels], stdout=sys.stderr)


def main() -> None:
    """Run the study under every setting, compare, and write the report of the first again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--cores", default="all")
    parser.add_argument(
        "--kernels", nargs="+", choices=[name for name in KERNELS if name != OWN], default=["avx2", "scalar"]
    )
    arguments = parser.parse_args()
    own = load_config(arguments.configfile).study.name
    names = {OWN: own, **{kernels: f"{own}-{kernels}" for kernels in arguments.kernels}}
    for kernels, name in names.items():
        run_study(arguments.configfile, name, kernels, arguments.cores, f"results/{name}/summary/models.csv")
    results = {kernels: Path("results", name) for kernels, name in names.items()}
    comparison = compare_kernels({kernels: path / "summary" for kernels, path in results.items()})
    comparison["processors"] = [kernels_of_study(path) for path in results.values()]
    write_comparison(comparison, results[OWN] / "kernels.json")
    print(comparison_table(comparison))
    run_study(arguments.configfile, own, OWN, arguments.cores, f"reports/{own}/index.html")


if __name__ == "__main__":
    main()
