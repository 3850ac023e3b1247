# Runs in the new conda environment, in the folder from which snakemake was called: the repository root.
set -euo pipefail
pip install --no-deps .
