"""What the jobs of a study will ask a scheduler for, in words."""

from collections import Counter

from ctmar.config import SUBSETS, Config, Site
from ctmar.estimate.data_demand import DataDemand
from ctmar.estimate.demand import Demand
from ctmar.estimate.step_counts import count_network
from ctmar.estimate.training_demand import TrainingDemand

THREADS_OF_DATA_JOBS = 2  # of the rules ingest and simulate


def jobs_text(config: Config, site: Site) -> str:
    """A line for every kind of job: how many, their memory and time, and memory of a GPU.

    Raises:
        InputError: a network cannot be built.
    """
    study, training = config.study, config.training
    counts = {
        name: count_network(network, training, study.group, config.ingest.image_size)
        for name, network in study.networks.items()
    }
    model, data, n_runs = TrainingDemand(config, site, counts), DataDemand(config, site), len(study.expand())
    n_gpus = site.gpus_per_job if training.device == "cuda" else 0
    asked: Counter[tuple[str, Demand]] = Counter()
    for runs in study.jobs(site.runs_per_job).values():
        n_workers = model.workers(runs, n_gpus)
        together = f", {n_workers} of its trainings at a time" if n_workers > 1 else ""
        asked[f"train {runs[0].network}{together}", model.job(runs, n_gpus)] += 1
    asked["cost", model.cost_job()] += 1
    asked["ingest", data.ingest(THREADS_OF_DATA_JOBS)] += 1
    if config.simulation.pairs == "simulated":
        for subset in SUBSETS:
            n_jobs = config.simulation.shards * len(study.strengths)
            asked[f"simulate {subset}", data.simulation(subset, THREADS_OF_DATA_JOBS)] += n_jobs
    asked["evaluate_references", data.references()] += 1
    asked["summarise", data.summary(n_runs)] += 1
    asked["report", data.report(n_runs)] += 1
    assumed = " (figures of GPUs are assumptions)" if n_gpus else ""
    lines = [f"jobs, by the model that the workflow asks a scheduler with{assumed}:"]
    return "\n".join([*lines, *(f"  {n_jobs} × {name}: {_words(demand)}" for (name, demand), n_jobs in asked.items())])


def _words(demand: Demand) -> str:
    gpu = f", {demand.gpu_memory_mb:,} MB of a GPU for each training" if demand.gpu_memory_mb else ""
    return f"{demand.memory_mb:,} MB, {demand.minutes:,} min{gpu}"
