"""The whole configuration: the sections about data and models, and those about results.

``config/schema.json`` (for editors) and the tables of ``config/README.md`` are written from these models; a test keeps
them in step.
"""

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from ctmar.config.data import Ingest, Simulation, Source, Split
from ctmar.config.judgement import Judgement, series_text
from ctmar.config.optimisation import Training
from ctmar.config.own_code import is_import_path, slug_of
from ctmar.config.section import Section, UserPath
from ctmar.config.study import Run, RunSettings, Study, base_condition


def _own_metric(text: str) -> str:
    if not is_import_path(text):
        raise ValueError(f"expected module:name of a metric of your own, found '{text}'")
    return text


class Evaluation(Section):
    """What is measured of every model on the test subset."""

    defect_slices: int = Field(
        8, ge=1, description="Test pairs on which the defect, and PSNR when the input is turned, are measured."
    )
    defect_angles_deg: list[float] = Field(
        [15.0, 30.0, 45.0], description="Turns between quarter turns at which the defect is measured too [degrees]."
    )
    examples: int = Field(4, ge=1, description="Test pairs shown as images in the report.")
    metrics: list[Annotated[str, AfterValidator(_own_metric)]] = Field(
        [],
        description="Metrics of your own, each `module:name` of a function of prediction, truth [1/cm] and metal mask,"
        " arrays (h, w), to a number; NaN leaves a pair out.",
    )

    @field_validator("metrics")
    @classmethod
    def _every_metric_has_columns_of_its_own(cls, metrics: list[str]) -> list[str]:
        # a metric has a column of differences too, so a name must not differ from another by that word alone
        columns = Counter(slug_of(text).replace("_diff", "") for text in metrics)
        for text in metrics:
            if columns[slug_of(text).replace("_diff", "")] > 1:
                raise ValueError(f"'{text}' is written twice, or shares a column with another metric")
        return metrics


class TimedNetwork(Section):
    """A network that a study times and does not train."""

    architecture: str = Field("acdnet", description="Name known to `ctmar.models.build_network`.")
    settings: dict[str, Any] = Field({}, description="Keyword arguments of the architecture; left out: as published.")
    batch_size: int = Field(1, ge=1, description="Patches of a step.")
    patch_size: int = Field(32, ge=8, description="Side of a square patch [pixels].")

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if is_import_path(name):
            raise ValueError("expected a network of ctmar; one of your own is timed in study.networks")
        return name


class Timing(Section):
    """How the cost of a training step is measured."""

    repeats: int = Field(
        9,
        ge=6,
        description="Repeats of the step-time measurement; the median is reported, with an interval of 95 % at least,"
        " which takes six.",
    )
    seed: int = Field(0, ge=0, description="Of the order in which steps are timed.")
    networks: dict[str, TimedNetwork] = Field(
        {"acdnet": TimedNetwork()},
        description="Networks of the size of the literature, timed with every method and norm of the study beside the"
        " networks that it trains, whose steps may be too short for a verdict on cost. One that the study trains under"
        " the same name is timed instead; `{}`: none.",
    )


class Tracking(Section):
    """MLflow mirrors the runs; it can never break one."""

    enabled: bool = Field(True, description="Mirror finished runs to MLflow.")
    experiment: str = Field("equiproj", description="Name of the MLflow experiment.")


class Report(Section):
    """How the report looks."""

    title: str = Field("Approximate equivariance on CT metal artefact reduction", description="Heading.")
    window_hu: tuple[float, float] = Field((-175.0, 275.0), description="CT window of the images [HU].")
    error_hu: float = Field(200.0, gt=0, description="Error maps run from minus to plus this [HU].")


SHOWN_ONLY = ("report", "tracking")  # sections of a configuration that shape no result


class Config(Section):
    """A whole study."""

    extensions: list[UserPath] = Field(
        [],
        description="Python files of your own whose networks, norms, groups and metrics the study names as"
        " `module:name`, in the order in which they run; what is on the Python path needs no entry.",
    )
    source: Source = Source()
    ingest: Ingest = Ingest()
    split: Split = Split()
    simulation: Simulation = Simulation()
    training: Training = Training()
    study: Study
    evaluation: Evaluation = Evaluation()
    judgement: Judgement = Judgement()
    timing: Timing = Timing()
    tracking: Tracking = Tracking()
    report: Report = Report()

    @property
    def brings_code(self) -> bool:
        """Whether the study runs code of the user's own."""
        return bool(self.extensions or self.study.own_code or self.evaluation.metrics)

    def asks_for(self, run: Run, found: RunSettings) -> bool:
        """Whether what was trained is this run of the study, and not that of an older configuration of its name.

        Args:
            run: one of the study's runs.
            found: settings of a training.
        """
        wanted = self.study.networks[run.network]
        same = (found.run, found.training, found.group) == (run, self.training, self.study.group)
        return same and found.network.essence == wanted.essence

    @model_validator(mode="after")
    def _stored_pairs_come_with_the_benchmark(self) -> "Config":
        if self.simulation.pairs == "stored" and self.source.kind != "syndeeplesion":
            raise ValueError(
                f"simulation.pairs 'stored' needs source.kind 'syndeeplesion', found '{self.source.kind}': no other"
                " source brings pairs"
            )
        return self

    @model_validator(mode="after")
    def _stored_pairs_are_as_they_are(self) -> "Config":
        if self.simulation.pairs == "stored" and any(self.study.strengths):
            raise ValueError(
                "simulation.pairs 'stored': expected runs with asymmetry 0, since nothing is simulated, found"
                f" {max(self.study.strengths):g}"
            )
        return self

    @model_validator(mode="after")
    def _runs_say_the_strength_of_the_asymmetry(self) -> "Config":
        if self.simulation.asymmetry.strength:
            raise ValueError(
                "simulation.asymmetry.strength: expected none in a study, whose runs say it (study.runs, asymmetry),"
                f" found {self.simulation.asymmetry.strength:g}"
            )
        return self

    @model_validator(mode="after")
    def _patches_fit_into_images(self) -> "Config":
        if self.training.patch_size > self.ingest.image_size:
            raise ValueError(
                f"training.patch_size: expected at most {self.ingest.image_size}, the side of an image"
                f" (ingest.image_size), found {self.training.patch_size}"
            )
        return self

    @model_validator(mode="after")
    def _primary_comparisons_are_run(self) -> "Config":
        runs = self.study.expand() if self.judgement.primary else []
        conditions = list(dict.fromkeys(run.condition for run in runs))
        known = {(run.method, norm, run.condition) for run in runs for norm in (run.norm, None)}
        for one in self.judgement.primary:
            condition = one.condition(conditions)
            where = (
                "" if condition == base_condition(conditions) else ", asymmetry {:g} and slices {},".format(*condition)
            )
            for method, norm in ((one.method, one.norm), (one.against, one.against_norm)):
                if (method, norm, condition) not in known:
                    raise ValueError(
                        f"judgement.primary: '{one}' needs runs of {series_text(method, norm)}{where} in study.runs"
                    )
        return self
