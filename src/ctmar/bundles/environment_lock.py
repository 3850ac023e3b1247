"""The installed packages that a study ran with: ours, what they need, and what the user's own code imports."""

import platform
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict

from ctmar.store.checkout import Checkout
from ctmar.store.closure import Closure
from ctmar.store.provenance import sha256_of

_OURS = "equiproj"
_EXTRAS = ("ctmar", "workflow", "idc")


class Environment(BaseModel):
    """Python, the versions of packages by name, and the digests of the locks that come with the code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: str
    platform: str
    packages: dict[str, str]
    locks: dict[str, str]

    def as_requirements(self) -> str:
        """The packages as pip reads them; a local build of torch is the pin of its release."""
        others = (
            f"{name}=={re.sub(r'[+].*', '', version)}\n" for name, version in self.packages.items() if name != _OURS
        )
        return f"# Python {self.python}, {self.platform}\n" + "".join(others)


def this_environment(checkout: Checkout, own_code: Iterable[Path] = ()) -> Environment:
    """What is installed here and belongs to the study: nothing else of a user's environment is told.

    Args:
        checkout: the code, for its locks.
        own_code: files of the user's own, whose imports count too.
    """
    locks = {name: path for name, path in checkout.files.items() if name.startswith("envs/") and path.suffix == ".txt"}
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages=_versions([(_OURS, _EXTRAS), *((name, ()) for name in _imported(own_code, checkout.source))]),
        locks={Path(name).name: sha256_of(path) for name, path in locks.items()},
    )


def _imported(own_code: Iterable[Path], source: Path) -> list[str]:
    """Distributions whose modules some files import."""
    modules = {name for path in own_code for name in Closure.of_script(path, source).imported}
    known = metadata.packages_distributions() if modules else {}  # reads what every installed package says of itself
    return sorted({distribution for module in modules for distribution in known.get(module, ())})


def _versions(wanted: list[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Versions of packages and of all that they require here, by name; what is not installed is left out."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = list(wanted)
    while waiting:
        name, extras = waiting.pop()
        if (canonicalize_name(name), extras) in seen:
            continue
        seen.add((canonicalize_name(name), extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        versions[canonicalize_name(name)] = found.version
        waiting += [needed for text in found.requires or () if (needed := _needed(text, extras)) is not None]
    return dict(sorted(versions.items()))


def _needed(text: str, extras: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """A requirement that holds here, with its extras."""
    try:
        requirement = Requirement(text)
        holds = requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in ("", *extras))
    except (InvalidRequirement, UndefinedEnvironmentName):  # somebody else's metadata
        return None
    return (requirement.name, tuple(sorted(requirement.extras))) if holds else None
