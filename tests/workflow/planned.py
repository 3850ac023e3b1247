"""What a dry run announces."""

import re


def jobs_planned(text: str) -> dict[str, int]:
    """How many jobs of each rule are in a dry run's table, without their sum."""
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE) if rule != "total"}


def rules_planned(text: str) -> set[str]:
    """The rules of a dry run's table of jobs."""
    return set(jobs_planned(text))
