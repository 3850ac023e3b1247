"""Sections about models: which runs are compared, and what each of them is."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ctmar.config.methods import METHODS, MethodName, every_method_in_words
from ctmar.config.optimisation import Network, Training
from ctmar.config.own_code import is_import_path
from ctmar.config.section import Section, Slug, Subset
from ctmar.errors import InputError
from equiproj.norms import parse_norm


def _known_group(text: str) -> str:
    if not is_import_path(text) and not _GROUP_NAME.fullmatch(text):
        raise ValueError("expected C<n>, D<n>, a product of such as 'C2 x D1', or module:name")
    return text


# what `equiproj.groups.parse_group` reads; checked without waiting for torch
_GROUP_NAME = re.compile(r"[CD][1-9]\d*( *x *[CD][1-9]\d*)*")
GroupName = Annotated[str, AfterValidator(_known_group)]


def _known_norm(text: str) -> str:
    if text != "none" and not is_import_path(text):
        parse_norm(text)
    return text


NormName = Annotated[str, AfterValidator(_known_norm)]


Condition = tuple[float, int]  # asymmetry and slices of a run


def base_condition(conditions: Iterable[Condition]) -> Condition:
    """The condition that a study is about where nothing else is said: no asymmetry and all slices, or the first.

    Examples:
        >>> base_condition([(0.4, 0), (0.0, 0)]), base_condition([(0.4, 0), (0.0, 5)])
        ((0.0, 0), (0.4, 0))
    """
    every = list(conditions)
    return (0.0, 0) if (0.0, 0) in every else every[0]


Power = Literal[1, 2]
Seed = Annotated[int, Field(ge=0)]
Start = Literal["equivariant", "drawn"]


class Run(Section):
    """One training run: the unit of the study."""

    network: Slug = Field(description="Name of the network in the study.")
    method: MethodName = Field(description=every_method_in_words())
    norm: NormName = Field("none", description="Matrix norm of the projection penalty; `module:name`: your own.")
    lam_perp: float = Field(0.0, ge=0, description="Weight λ⊥ of ‖W − P(W)‖ (for other methods: their weight).")
    lam_equi: float = Field(0.0, ge=0, description="Weight λ_G of ‖P(W)‖.")
    target: float = Field(
        0.0, ge=0, lt=1, description="Wanted ‖W − P(W)‖ / ‖W‖, to which λ⊥ is adapted in every step; 0: λ⊥ is given."
    )
    balance: float = Field(
        0.0, ge=0, description="Wanted ratio of the gradients of penalty and task, to which λ⊥ is adapted; 0: given."
    )
    power: Power = Field(1, description="1: the penalty is the norm, 2: its square.")
    softness: float = Field(0.0, ge=0, le=1, description="Share of W − P(W) that `softness` keeps, from 0 to 1.")
    start: Start = Field(
        "equivariant",
        description="Weights before the first step: `equivariant`: the projection P(W) of what was drawn, at its scale;"
        " `drawn`: W as it was drawn. Weights of a file (`weights` of a network) stay as they are.",
    )
    compute: float = Field(1.0, gt=0, description="Steps of training, as a multiple of those of the study.")
    asymmetry: float = Field(
        0.0, ge=0, le=1, description="Strength ε of the broken symmetry of the scanner (`simulation.asymmetry`)."
    )
    slices: int = Field(0, ge=0, description="Training slices of each patient, evenly spaced; 0: all.")
    seed: Seed = Field(0, description="Seed of initialisation, data order and method; it chooses the fold, too.")

    @model_validator(mode="after")
    def _settings_go_with_method(self) -> "Run":
        facts = METHODS[self.method]
        if facts.reads_norm == (self.norm == "none"):
            readers = " or ".join(f"'{name}'" for name, other in METHODS.items() if other.reads_norm)
            raise ValueError(
                f"method '{self.method}' with norm '{self.norm}': method {readers}, and no other, needs a norm"
            )
        for key, is_read, what in (
            ("lam_perp", facts.reads_lam_perp, "weight"),
            ("lam_equi", facts.reads_lam_equi, "weight for the equivariant part"),
            ("softness", facts.reads_softness, "softness"),
            ("target", facts.adapts_weight, "weight that is adapted to a target"),
            ("balance", facts.adapts_weight, "weight that is adapted to the task"),
        ):
            if getattr(self, key) and not is_read:
                raise ValueError(f"method '{self.method}' has no {what}: {key} must be 0 or left out")
        if self.power != 1 and not facts.adapts_weight:
            raise ValueError(f"method '{self.method}' has no power: it must be 1 or left out")
        given = [key for key in ("lam_perp", "target", "balance") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"expected one of lam_perp, target and balance, found {' and '.join(given)}")
        return self

    @property
    def setting(self) -> "Run":
        """What the runs of different seeds have in common, as the run of seed 0."""
        return self.model_copy(update={"seed": 0})

    @property
    def condition(self) -> Condition:
        """What data it is trained and tested on: asymmetry and slices. Only runs of one condition are compared."""
        return self.asymmetry, self.slices

    @property
    def slug(self) -> str:
        """The setting as a path can carry it: network, method, and what differs from the defaults.

        Examples:
            >>> Run(network="n", method="projection", norm="mixed:2,1", lam_perp=1e-5, seed=3).slug
            'n/projection,norm=mixed-2-1,lam_perp=1e-05'
        """
        differing = {**self.model_dump(exclude={"network", "method", "seed"}, exclude_defaults=True)}
        parts = [f"{key}={_path_text(value)}" for key, value in differing.items()]
        return f"{self.network}/{','.join([self.method, *parts])}"

    @property
    def folder_name(self) -> str:
        """Where its files lie below the folder of all runs.

        Examples:
            >>> Run(network="n", method="plain", seed=3).folder_name
            'n/plain/seed-3'
        """
        return f"{self.slug}/seed-{self.seed}"


def _path_text(value: Any) -> str:
    text = f"{value:g}".replace("+", "") if isinstance(value, float) else str(value)  # 1e+39 is not 1e-39
    return re.sub(r"[^\w.-]", "-", text)


class RunSettings(Section):
    """One run with all that shapes its weights beside data and software."""

    run: Run
    network: Network
    training: Training
    patients: dict[Subset, list[str]] | None = Field(
        None, description="Patients that train, validate and test (those of the run's fold); `null`: all in the files."
    )
    group: GroupName = Field(
        "C4",
        description="Group of the study: `C<n>` (n turns), `D<n>` (and as many mirror images), a product such as"
        " `C2 x D1`, or `module:name` of your own; it has to map the pixels of a square image onto themselves.",
    )


class Job(Section):
    """Runs of one network on the same pairs that one job trains and measures."""

    runs: list[Run] = Field(min_length=1, description="The runs: one network, one asymmetry.")
    network: Network = Field(description="Their network.")
    group: GroupName = Field("C4", description="Group of the study.")

    @model_validator(mode="after")
    def _runs_share_network_and_pairs(self) -> "Job":
        if len({(run.network, run.asymmetry) for run in self.runs}) > 1 or len(set(self.runs)) < len(self.runs):
            raise ValueError("runs: expected different runs of one network and one asymmetry")
        return self


class RunGroup(Section):
    """Runs of one method, written once: every list is expanded against the others, the networks and the seeds."""

    method: MethodName = Field(description=every_method_in_words())
    norm: list[NormName] = Field(
        ["none"], min_length=1, description="Matrix norms of the projection penalty; `module:name`: your own."
    )
    lam_perp: list[float] = Field(
        [0.0], min_length=1, description="Weights λ⊥ of ‖W − P(W)‖ (for other methods: their weight)."
    )
    lam_equi: list[float] = Field([0.0], min_length=1, description="Weights λ_G of ‖P(W)‖.")
    target: list[float] = Field(
        [0.0], min_length=1, description="Wanted ‖W − P(W)‖ / ‖W‖, to which λ⊥ is adapted; 0: λ⊥ is given."
    )
    balance: list[float] = Field(
        [0.0],
        min_length=1,
        description="Wanted ratios of the gradients of penalty and task, to which λ⊥ is adapted; 0: given.",
    )
    power: list[Power] = Field([1], min_length=1, description="1: the penalty is the norm, 2: its square.")
    softness: list[float] = Field(
        [0.0], min_length=1, description="Share of W − P(W) that `softness` keeps, from 0 to 1."
    )
    start: list[Start] = Field(
        ["equivariant"], min_length=1, description="Weights before the first step (`start` of a run)."
    )
    compute: list[float] = Field(
        [1.0], min_length=1, description="Steps of training, as multiples of those of the study."
    )
    asymmetry: list[float] = Field(
        [0.0], min_length=1, description="Strengths ε of the broken symmetry of the scanner."
    )
    slices: list[int] = Field([0], min_length=1, description="Training slices of each patient, evenly spaced; 0: all.")
    networks: list[str] | None = Field(
        None, min_length=1, description="Networks of these runs; `null`: all of the study."
    )
    seeds: list[Seed] | None = Field(None, min_length=1, description="Seeds of these runs; `null`: those of the study.")

    @model_validator(mode="after")
    def _is_possible(self) -> "RunGroup":
        self.expand(["network"], [0])
        return self

    def expand(self, networks: Iterable[str], seeds: Iterable[int]) -> list[Run]:
        """Its runs, the last key fastest, where it names neither networks nor seeds with these."""
        lists = {key: getattr(self, key) for key in Run.model_fields if key not in ("network", "method", "seed")}
        places = itertools.product(self.networks or networks, *lists.values(), self.seeds or seeds)
        keys = ("network", *lists, "seed")
        return [Run(method=self.method, **dict(zip(keys, values, strict=True))) for values in places]


def _not_reserved(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"expected another name than {', '.join(_RESERVED)}, which stand in `reports` already")
    return name


_RESERVED = ("README.md", "example", "index.html")
StudyName = Annotated[Slug, AfterValidator(_not_reserved)]


class Study(Section):
    """Which models are trained."""

    name: StudyName = Field(
        "study",
        description="Folder of the study in `results`, `reports` and `logs`; left out, it is the name of the"
        " configuration file without its suffix.",
    )
    networks: dict[Slug, Network] = Field(
        {"dncnn": Network()}, min_length=1, description="Networks by the name used in paths."
    )
    seeds: list[Seed] = Field([0, 1, 2], min_length=1, description="Seeds of initialisation, data order and method.")
    group: GroupName = Field(
        "C4",
        description="Group of the study: `C<n>` (n turns), `D<n>` (and as many mirror images), a product such as"
        " `C2 x D1`, or `module:name` of your own; it has to map the pixels of a square image onto themselves.",
    )
    runs: list[RunGroup] = Field(min_length=1, description="What is compared.")
    runs_per_job: int = Field(
        10,
        ge=1,
        description="Runs that a job trains and measures, one after the other: starting Python and torch and reading"
        " the pairs takes as long as a short training. On a cluster with long trainings 1.",
    )

    @model_validator(mode="after")
    def _networks_are_known(self) -> "Study":
        for group in self.runs:
            for name in group.networks or ():
                if name not in self.networks:
                    raise ValueError(f"runs: unknown network '{name}', expected one of {', '.join(self.networks)}")
        return self

    @property
    def own_code(self) -> list[str]:
        """Every import path that the study names.

        Examples:
            >>> Study(runs=[RunGroup(method="plain")], group="my_groups:Kite").own_code
            ['my_groups:Kite']
        """
        architectures = [network.architecture for network in self.networks.values()]
        named = [self.group, *architectures, *(norm for group in self.runs for norm in group.norm)]
        return [text for text in dict.fromkeys(named) if is_import_path(text)]

    @property
    def strengths(self) -> list[float]:
        """The strengths ε of the broken symmetry at which the study simulates pairs, ascending.

        Examples:
            >>> Study(runs=[RunGroup(method="plain", asymmetry=[0.4, 0.0])]).strengths
            [0.0, 0.4]
        """
        return sorted({strength for group in self.runs for strength in group.asymmetry})

    def expand(self) -> list[Run]:
        """All training runs in the order of the file; a run written twice is an error."""
        runs = [run for group in self.runs for run in group.expand(self.networks, self.seeds)]
        folders = Counter((run.slug, run.seed) for run in runs)
        twice = sorted(folder for folder, n_times in folders.items() if n_times > 1)
        if twice:
            raise InputError(f"study.runs: the same run is written twice: {twice[0][0]}, seed {twice[0][1]}")
        return runs

    def jobs(self, runs_per_job: int | None = None) -> dict[str, list[Run]]:
        """The runs of one network on the same pairs, at most `runs_per_job` in each job, by the name of the job.

        The names hold neither "," nor "=": a scheduler's job is told by a command line of Snakemake which job it is,
        and that joins wildcards by the one and their values by the other.
        """
        by_pairs: dict[str, list[Run]] = {}
        for run in self.expand():
            by_pairs.setdefault(f"{run.network}-asymmetry-{run.asymmetry:g}", []).append(run)
        size = runs_per_job or self.runs_per_job
        return {
            f"{name}-{first // size}": own[first : first + size]
            for name, own in by_pairs.items()
            for first in range(0, len(own), size)
        }
