"""The estimate of a study in words: a table of its trainings, their sums, and its simulation."""

from ctmar.config import Config
from ctmar.estimate.simulation_cost import estimate, measure_pair, synthetic_slice
from ctmar.estimate.training_cost import TrainingEstimate
from ctmar.simulation.operators import operators_on

_ALIGNMENT = "<<<>>>>>"  # of the columns: text to the left, numbers to the right


def table(rows: list[TrainingEstimate], device: str) -> str:
    """One line for each network, method and norm."""
    unit = "GPU" if device == "cuda" else "core"
    columns = (
        "network",
        "method",
        "norm",
        "runs",
        "steps, all runs",
        f"{unit}-ms/step",
        "GFLOP/step",
        f"{unit}-hours, all runs",
    )
    cells = [
        (
            row.network,
            row.method,
            row.norm,
            f"{row.n_runs:,}",
            f"{row.n_steps:,}",
            f"{1e3 * row.step.seconds:,.1f}",
            f"{row.step.flops / 1e9:,.2f}",
            f"{row.seconds / 3600:,.2f}",
        )
        for row in rows
    ]
    lines = (columns, *cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_padded, line, widths, _ALIGNMENT)) for line in lines)


def _padded(cell: str, width: int, alignment: str) -> str:
    return f"{cell:{alignment}{width}}"


def training_text(rows: list[TrainingEstimate], config: Config, device: str, teraflops: float) -> str:
    """The sums, where they were measured, and what they assume."""
    threads = config.training.threads
    hours, n_runs = sum(row.seconds for row in rows) / 3600, sum(row.n_runs for row in rows)
    flops = sum(row.flops for row in rows)
    lines = [f"training: {n_runs:,} runs, {sum(row.n_steps for row in rows):,} steps, {flops:.3g} operations"]
    if device == "cuda":
        return "\n".join([*lines, f"{hours:,.1f} GPU-hours, measured on this GPU"])
    lines += [f"{hours:,.1f} core-hours of this machine's CPU in float32, {threads} thread(s) to a run"]
    if config.training.device == "cuda":
        lines += [
            "the configuration asks for a GPU and torch finds none here: the times above are this CPU's",
            f"{flops / teraflops / 1e12 / 3600:,.1f} GPU-hours if one GPU sustains {teraflops:g}·10¹² operations a"
            " second (--teraflops), an assumption and no measurement",
        ]
    return "\n".join(lines)


def simulation_text(config: Config, n_slices: int) -> str:
    """Pairs, disk and time of every subset, if ``n_slices`` slices are dealt by the fractions of the split."""
    settings, source = config.simulation, synthetic_slice(config.ingest.image_size)
    subsets = [subset for subset, n_masks in settings.masks_per_slice.items() if n_masks]
    costs = {
        nmar: measure_pair(settings, operators_on("cpu"), source, None, nmar)
        for nmar in {subset in settings.nmar for subset in subsets}
    }
    lines = [f"simulation of {n_slices:,} slices (--slices) on one thread of this machine:"]
    for subset in subsets:
        n_own, n_masks = round(n_slices * config.split.fractions[subset]), settings.masks_per_slice[subset]
        cost = costs[subset in settings.nmar]
        lines.append(f"  {subset}: {estimate(cost, n_own, n_masks, 1, settings.store_sinograms)}")
    return "\n".join(lines)
