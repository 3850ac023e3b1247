"""The result of a check: one JSON file, written anew after every part, whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.gpu_check.parts import Part

FORMAT = 1


class Result:
    """What is known so far."""

    def __init__(self, path: Path, device: str, quick: bool, started: str, machine: dict[str, Any]) -> None:
        self._path = path
        self._facts: dict[str, Any] = {
            "format": FORMAT,
            "started": started,
            "device": device,
            "quick": quick,
            "machine": machine,
            "parts": {},
        }

    def add(self, part: Part, outcome: dict[str, Any]) -> None:
        """Take up a part and write the file."""
        self._facts["parts"][part.key] = {"title": part.title} | outcome
        write_json(self._path, self._facts)

    def as_dict(self) -> dict[str, Any]:
        """All of it, as the file holds it."""
        return self._facts

    def seconds(self) -> float:
        """Of all parts together."""
        return sum(part["seconds"] for part in self._facts["parts"].values())

    def is_complete(self) -> bool:
        """Whether every part came to its end and no row failed; a missed target of speed is no failure."""
        parts = self._facts["parts"].values()
        failed = [row for part in parts for row in part["rows"] if row["note"].startswith("failed")]
        return not failed and all(part["outcome"] == "done" for part in parts)


def write_json(path: Path, facts: dict[str, Any]) -> None:
    """Write beside and rename; the parent process imports none of the project, hence none of `ctmar.store.atomic`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
