"""The `ctmar` command: one subcommand for each rule of the workflow, each usable by itself.

Commands only parse and call. The rooms are imported inside the commands, so that `--help` and small commands do not
wait for torch.
"""

import sys

from ctmar.cli.app import app
from ctmar.cli.repeated_mistakes import remember, stop_at_a_known_mistake
from ctmar.errors import InputError
from ctmar.long_work import keep_freed_memory

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a mistake or the machine's limit ends in one line on stderr and exit code 2 or 1."""
    keep_freed_memory()
    try:
        stop_at_a_known_mistake()
        app()
    except InputError as error:
        remember(error)
        print(f"ctmar: {error}", file=sys.stderr)
        sys.exit(2)
    except (OSError, MemoryError) as error:  # the machine's limits: a full disk, a file that nobody may read
        print(f"ctmar: {' '.join(str(error).split()) or 'out of memory'}", file=sys.stderr)
        sys.exit(1)
    except RuntimeError as error:  # so torch says that there is no memory
        from ctmar.jobs.endings import outcome_of

        outcome, text = outcome_of(error)
        if outcome != "out of memory":
            raise
        print(f"ctmar: out of memory: {text}", file=sys.stderr)
        sys.exit(1)
