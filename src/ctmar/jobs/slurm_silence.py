"""Snakemake keeps its jobs while Slurm does not answer.

The plugin for Slurm (2.8) asks for the states of its jobs, and hands back those that still run. Where nobody answers,
because the controller is being restarted and there is no accounting to ask instead, it hands back none: Snakemake then
waits for ever, for jobs that it has forgotten.
"""

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

_PLUGIN = "snakemake_executor_plugin_slurm"


def keep_jobs_while_slurm_is_silent() -> None:
    """Mend the plugin, where Snakemake has loaded it; a second call changes nothing."""
    plugin = sys.modules.get(_PLUGIN)
    if plugin is not None and not hasattr(plugin.Executor.check_active_jobs, "keeps_jobs"):
        plugin.Executor.check_active_jobs = keeping(plugin.Executor.check_active_jobs)


def keeping(check: Callable[[Any, list[Any]], AsyncIterator[Any]]) -> Callable[[Any, list[Any]], AsyncIterator[Any]]:
    """The plugin's check of its jobs, which hands all of them back if no question was answered."""

    async def check_and_keep(executor: Any, active_jobs: list[Any]) -> AsyncIterator[Any]:
        answered_before = _answers(executor)
        async for job in check(executor, active_jobs):
            yield job
        if active_jobs and _answers(executor) == answered_before:
            executor.logger.warning("Slurm does not answer; its jobs are taken to run on until it does.")
            for job in active_jobs:
                yield job

    check_and_keep.keeps_jobs = True  # type: ignore[attr-defined]  # a mark, read above
    return check_and_keep


def _answers(executor: Any) -> int:
    """How many questions Slurm has answered: the plugin counts them, once it has made itself ready."""
    return getattr(executor, "_status_query_calls", 0)  # the first check may come before that
