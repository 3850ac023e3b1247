"""Snakemake that asks Slurm every second; the plugin waits longer after each answer without news, up to 3 minutes."""

import asyncio
import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor


async def a_second(_: Executor) -> None:
    await asyncio.sleep(1)


if __name__ == "__main__":
    Executor.sleep = a_second
    sys.exit(main())
