"""The jobs of a study outlive a Slurm that does not answer for a while."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin

from ctmar.jobs.slurm_silence import keep_jobs_while_slurm_is_silent, keeping

ASKED = plugin.Executor.check_active_jobs
JOBS = [SimpleNamespace(external_jobid="7", aux={}), SimpleNamespace(external_jobid="8", aux={})]


class Limiter:
    async def __aenter__(self):
        return nullcontext()

    async def __aexit__(self, *_):
        return None


class Executor(SimpleNamespace):
    """What the plugin's check reads and writes of its executor."""

    def __init__(self):
        settings = SimpleNamespace(init_seconds_before_status_checks=1, status_attempts=2, keep_successful_logs=True)
        self.said, self.succeeded = [], []
        super().__init__(
            workflow=SimpleNamespace(executor_settings=settings),
            logger=SimpleNamespace(debug=lambda _: None, info=lambda _: None, warning=self.said.append),
            status_rate_limiter=Limiter(),
            run_uuid="a",
            next_seconds_between_status_checks=1,
            get_status_command=lambda: "squeue",
            report_job_success=self.succeeded.append,
            _status_query_calls=0,
            _status_query_failures=0,
            _status_query_total_seconds=0.0,
            _status_query_min_seconds=None,
            _status_query_max_seconds=0.0,
            _status_query_cycle_rows=[],
        )


@pytest.fixture
def slurm(monkeypatch):
    """Gives the answer to all questions; None: there is none."""

    def answers(states):
        async def query(command, logger):
            return (states, 0.1) if states is not None else (None, None)

        monkeypatch.setattr(plugin, "query_job_status", query)
        monkeypatch.setattr(plugin, "get_min_job_age", lambda: 3600)

    return answers


def kept(check, executor, jobs):
    async def collected():
        return [job async for job in check(executor, jobs)]

    return asyncio.run(collected())


def test_the_plugin_forgets_its_jobs(slurm):
    # when this fails, the plugin has been mended, and ctmar.jobs.slurm_silence can go
    slurm(None)
    assert kept(ASKED, Executor(), JOBS) == []


def test_without_an_answer_all_jobs_run_on(slurm):
    slurm(None)
    executor = Executor()
    assert kept(keeping(ASKED), executor, JOBS) == JOBS
    assert executor.said == ["Slurm does not answer; its jobs are taken to run on until it does."]


def test_an_answer_counts_as_before(slurm):
    slurm({"7": "COMPLETED", "8": "RUNNING"})
    executor = Executor()
    assert kept(keeping(ASKED), executor, JOBS) == JOBS[1:]
    assert executor.succeeded == JOBS[:1]
    assert executor.said == []


def test_without_jobs_nothing_is_said(slurm):
    slurm(None)
    executor = Executor()
    assert kept(keeping(ASKED), executor, []) == []
    assert executor.said == []


def test_the_plugin_is_mended_once(monkeypatch):
    monkeypatch.setattr(plugin.Executor, "check_active_jobs", ASKED)
    keep_jobs_while_slurm_is_silent()
    mended = plugin.Executor.check_active_jobs
    keep_jobs_while_slurm_is_silent()
    assert plugin.Executor.check_active_jobs is mended is not ASKED


def test_a_check_before_the_plugin_is_ready_ends_nothing(slurm):
    # Snakemake starts asking while the plugin makes itself ready; an error there would leave it waiting for ever
    slurm(None)
    executor = Executor()
    del executor._status_query_calls
    assert kept(keeping(ASKED), executor, []) == []
