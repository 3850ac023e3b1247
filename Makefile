# Two commands for a newcomer: `make report` and `make test`. Both make their environment in .venv first.
PYTHON ?= python3
CORES ?= all
CONFIG ?= config/config.yaml
BIN := .venv/bin
# three for two cores: a test that runs Snakemake waits for a fifth of its time; order: tests/conftest.py
WORKERS := --numprocesses 3 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: report mlflow test test-fast test-slurm docs style formatting types imports rules locks gpu-bundle gpu-check gpu-docs clean help

report: .venv/installed ## environment, then the whole study of CONFIG; reports/index.html lists the reports
	ctmar recover --end
	snakemake --workflow-profile workflow/profiles/default --cores $(CORES) --configfile $(CONFIG)
	ctmar list-reports reports
	@echo "Open reports/index.html in a browser: it lists the reports of all your studies."

mlflow: .venv/installed ## the study of CONFIG in MLflow's interface; prints the address
	ctmar mlflow results/$(basename $(notdir $(CONFIG)))

test: .venv/installed-test style ## environment, style and types, then every test
	OMP_NUM_THREADS=1 pytest $(WORKERS) -m "not slurm"

test-fast: .venv/installed-test ## the tests of daily work: no Snakemake, no browser, nothing slow
	OMP_NUM_THREADS=1 pytest $(WORKERS) -m "not workflow and not browser and not slow"

test-slurm: .venv/installed-test ## a small study on a real Slurm that this brings up, and what can happen to it there (needs root)
	OMP_NUM_THREADS=1 pytest tests/slurm -m slurm

docs: .venv/installed-test ## the documentation site, built offline: open site/index.html
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet
	@echo "Open site/index.html in a browser."

style: formatting types imports rules ## formatting, lint, types, import directions, workflow lint

formatting: .venv/installed-test
	ruff format --check src tests benchmarks docs
	ruff check src tests benchmarks docs

types: .venv/installed-test
	mypy

imports: .venv/installed-test
	lint-imports

rules: .venv/installed-test
	snakefmt --check Snakefile workflow
	snakemake --lint

locks: .venv/installed-test ## resolve the pinned versions again (envs/README.md)
	bash envs/lock.sh

gpu-bundle: .venv/installed ## what gpu-check needs on a machine without a network, in .gpu-bundle
	PYTHONPATH=src python -m benchmarks.gpu_check.bundle

gpu-check: ## everything written for CUDA, in eight minutes, with the machine's own PYTHON
	$(PYTHON) -m benchmarks.gpu_check

gpu-docs: ## docs/gpu.md from the last gpu-check
	$(PYTHON) -m benchmarks.gpu_check.report

clean: ## remove what the workflow made, keep the environment
	rm -rf results logs resources benchmarks/results .snakemake site
	find reports -mindepth 1 -maxdepth 1 ! -name README.md ! -name example -exec rm -r {} +

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "equiproj needs Python 3.11 or newer; name one with: make report PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@pip install --quiet --upgrade pip || echo "this pip stays; it takes longer to look through an index"

# pip compiles on one core, and others' tests, too; like pip, pass over what is written for a newer Python (torch has some),
# but not over a file that cannot be written
.venv/installed: .venv/bin/pip envs/cpu.txt pyproject.toml
	pip install --quiet --no-compile --requirement envs/cpu.txt
	pip install --quiet --no-compile --no-deps --editable .
	@told=$$(python -m compileall -q -j 0 -x '/tests?/' .venv/lib src) || \
		case "$$told" in *'[Errno '*) echo "$$told" | grep -F '[Errno ' | sort | uniq -c; exit 1;; esac
	touch $@

.venv/installed-test: .venv/installed envs/cpu-test.txt envs/oracles.txt
	pip install --quiet --no-compile --requirement envs/cpu-test.txt # large packages, of which tests import little
	pip install --quiet --no-compile --no-deps --requirement envs/oracles.txt
	touch $@
