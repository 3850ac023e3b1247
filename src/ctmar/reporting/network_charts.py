"""The charts of one network with their captions, which say what the numbers rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctmar.reporting import charts, forest, norm_section, small_multiples, sweeps
from ctmar.reporting.counted import counted
from ctmar.reporting.panels import Panels
from ctmar.reporting.required_columns import IDENTITY, measured
from ctmar.reporting.shown_tables import Context, Table
from ctmar.reporting.summary import longest_sweep
from ctmar.reporting.trade_off import trade_off_chart

Chart = tuple[str, charts.Spec]  # caption, specification
Shown = tuple[str, str, str, bool]  # measure, title of its axis, caption, logarithmic
FIXED: tuple[Shown, Shown] = (  # the second where a study has no plain model to differ from
    ("psnr_diff_db", "PSNR difference to plain [dB]", "Protocol fixed: paired difference to plain", False),
    ("psnr_db", "PSNR [dB]", "Protocol fixed", False),
)
OFFICIAL: tuple[Shown, Shown] = (
    ("psnr_official_diff_db", "PSNR difference to plain [dB]", "Protocol official: paired difference to plain", False),
    ("psnr_official_db", "PSNR [dB]", "Protocol official", False),
)
_EQUIVARIANCE: tuple[Shown, Shown] = (
    ("relative_non_equivariance", "‖W−PW‖ / ‖W‖", "Non-equivariance of the weights", True),
    ("defect", "measured defect", "Defect on turned test slices", True),
)


def quality(models: pd.DataFrame, protocol: tuple[Shown, Shown]) -> Shown | None:
    """What stands for a protocol: the difference to plain, without a plain model the value itself."""
    return next((shown for shown in protocol if measured(models, shown[0])), None)


@dataclass(frozen=True)
class NetworkCharts:
    """What the charts of one network are drawn from.

    Args:
        models: its rows from `prepare_models`.
        runs: ``runs.csv``.
        n_defect_pairs: how many test pairs the defect is measured on at most.
    """

    models: pd.DataFrame
    runs: pd.DataFrame
    n_defect_pairs: int

    @property
    def chosen(self) -> pd.DataFrame:
        """The settings that validation prefers of each method and norm."""
        return self.models[self.models["chosen"]]

    def quality(self) -> list[Chart]:
        """One chart for each protocol, never both in one."""
        found: list[Chart] = []
        if self.chosen.empty:
            return found
        for measure, title, caption, _ in filter(None, (quality(self.chosen, FIXED), quality(self.chosen, OFFICIAL))):
            rule = 0.0 if measure in charts.DIFFERENCES else None
            spec = forest.forest_chart(self.chosen, measure, title, rule)
            found.append((self._with_n(caption, self.chosen, measure), spec))
        return found

    def defects(self) -> Chart | None:
        """The defect of the chosen settings, where it was measured."""
        if not measured(self.chosen, "defect"):
            return None
        caption = self._with_n("Measured defect at quarter turns", self.chosen, "defect")
        spec = forest.forest_chart(self.chosen, "defect", "measured defect, quarter turns", log=True)
        return f"{caption}; marks at 10⁻⁶ stand for that or less", spec

    def trade_off(self) -> Chart | None:
        """Quality against equivariance of all settings, where both were measured."""
        shown = quality(self.models, FIXED)
        if shown is None or not measured(self.models, "defect"):
            return None
        measure, title = shown[:2]
        caption = self._with_n("Quality against equivariance", self.models, measure)
        return caption, trade_off_chart(self.models, measure, title)

    def responses(self) -> list[tuple[str, list[Chart]]]:
        """The norm with the most λ⊥ in detail, and the penalty beside the optimiser, whose λ⊥ has its own scale."""
        plain = self.models[(self.models["method"] == "plain") & self.models["standard"]]
        return [
            (f"{rows[0]['series']}: {text}", self._of_sweep(pd.concat([plain, pd.DataFrame(rows)], ignore_index=True)))
            for rows, text in (
                (longest_sweep(self.models, "projection", "frobenius"), "the longest sweep of λ⊥"),
                (
                    longest_sweep(self.models, "proximal"),
                    "the penalty beside the optimiser, from an equivariant start; λ⊥ per unit of learning rate",
                ),
            )
            if len(rows) > 1
        ]

    def _of_sweep(self, swept: pd.DataFrame) -> list[Chart]:
        own = swept[swept["method"] != "plain"]
        return [
            (
                self._with_n(caption, own, measure),
                sweeps.response_chart(swept, self.runs, measure, title, logarithmic=logarithmic),
            )
            for measure, title, caption, logarithmic in _response_measures(swept)
        ]

    def norms(self) -> list[tuple[str, Panels]]:
        """A panel for each norm; a study of one norm shows it in detail already."""
        swept = small_multiples.swept_settings(self.models)
        if swept["series"].nunique() < 2 or not swept.duplicated("series").any():
            return []
        return [
            (
                self._with_n(f"{caption}{_unit(title)} against λ⊥", swept, measure),
                small_multiples.norm_panels(self.models, self.runs, measure, title, logarithmic=logarithmic),
            )
            for measure, title, caption, logarithmic in _response_measures(self.models)[:2]
        ]

    def norms_at_defect(self, norms: pd.DataFrame, context: Context) -> tuple[str, Panels, Table] | None:
        """The curve of every norm against the measured defect, and their differences at common defects."""
        measure, title = (quality(self.models, FIXED) or FIXED[1])[:2]
        panels = norm_section.defect_panels(self.models, measure, title)
        table = norm_section.norm_table(norms, context.network, context.marks)
        if panels is None or table is None:
            return None
        caption = self._with_n(f"{title} against measured defect", small_multiples.swept_settings(self.models), measure)
        return f"{caption}; dashed: Frobenius", panels, table

    def sensitivity(self) -> list[Chart]:
        """λᴳ × λ⊥ for each norm that was trained with more than one λ_G."""
        own_penalty = self.models[(self.models["method"] == "projection") & self.models["standard"]]
        return [
            (self._with_n(f"{series}: {title}", own, measure), sweeps.sensitivity_map(own, measure, title))
            for series, own in own_penalty.groupby("series", sort=False)
            if own["lam_equi"].nunique() > 1
            for measure, title, _, _ in _response_measures(self.models)
        ]

    def _with_n(self, caption: str, shown: pd.DataFrame, measure: str) -> str:
        return f"{caption} ({counted(shown, measure, self.n_defect_pairs)})"


def curve_charts(curves: pd.DataFrame, settings: Sequence[tuple[Any, ...]]) -> list[tuple[str, Panels]]:
    """Validation PSNR and training loss of every setting that there are curves of; panels say of how many seeds."""
    panels, known = small_multiples.curve_panels, set(curves[IDENTITY].itertuples(index=False, name=None))
    settings = [setting for setting in settings if setting in known]
    if not settings:
        return []
    return [
        ("Validation PSNR [dB] by epoch", panels(curves, settings, "validation_psnr", "dB")),
        ("Training loss of the task by epoch", panels(curves, settings, "task_loss", "loss", logarithmic=True)),
    ]


def _response_measures(models: pd.DataFrame) -> list[Shown]:
    """What is drawn against weights: quality and equivariance."""
    return [shown for shown in (quality(models, FIXED), *_EQUIVARIANCE) if shown]


def _unit(title: str) -> str:
    """The unit of an axis, for panels that have no room for its title."""
    return f" [{title.partition(' [')[2]}" if " [" in title else ""
