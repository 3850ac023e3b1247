"""What a page lacks, with the reason: its banner says so, that nothing is left out in silence and nothing is faked."""

import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ctmar.errors import InputError

T = TypeVar("T")
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")  # of an absolute path: nothing of the machine is shown


@dataclass(frozen=True)
class Lack:
    """A part of the page or of the study that is not there, and why."""

    what: str
    why: str


@dataclass
class Lacks:
    """What was found missing so far.

    Args:
        results: folder of the study's results; files are named from there.
        found: in the order in which they were found, each once.
    """

    results: Path
    found: list[Lack] = field(default_factory=list)

    def copy(self) -> "Lacks":
        """What was found so far, to which more can be added without changing it here."""
        return Lacks(self.results, list(self.found))

    def tell(self, what: str, why: str) -> None:
        """Note that something is left out, and why."""
        lack = Lack(what, self.without_folders(why))
        if lack not in self.found:
            self.found.append(lack)

    def without_folders(self, text: str) -> str:
        """A message as a page may show it, without folders of this machine.

        Examples:
            >>> Lacks(Path("/data/results/a")).without_folders("/data/results/a/cost.csv: not found; see /home/x/log")
            'cost.csv: not found; see log'
        """
        return _FOLDERS.sub("", text.replace(f"{self.results}/", ""))

    def unless(self, what: str, make: Callable[[], T], otherwise: T) -> T:
        """What ``make`` gives; where it cannot be made ``otherwise``, and a note of it.

        Args:
            what: name of what is made, as the page says it.
            make: makes it.
            otherwise: what stands for nothing.
        """
        try:
            return make()
        except InputError as error:
            self.tell(what, str(error))
        except Exception as error:  # a page with a section less, which says so, is better than no page
            traceback.print_exc(file=sys.stderr)
            self.tell(what, f"{type(error).__name__} (a mistake of this program; the log has more)")
        return otherwise
