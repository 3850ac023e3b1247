"""How what was measured is compared: levels, margins, and the comparisons that are fixed before the run."""

from collections import Counter
from collections.abc import Iterable

from pydantic import Field, model_validator

from ctmar.config.methods import MethodName
from ctmar.config.section import Section
from ctmar.config.study import Condition, NormName, base_condition


class PrimaryComparison(Section):
    """A comparison that is fixed before the run: PSNR of one method minus that of another."""

    method: MethodName = Field(description="The method expected to be better, at the setting that validation prefers.")
    norm: NormName | None = Field(None, description="Its norm; `null`: that which validation prefers.")
    against: MethodName = Field(description="The method it is compared with.")
    against_norm: NormName | None = Field(None, description="The norm of that; `null`: that which validation prefers.")
    asymmetry: float | None = Field(
        None, ge=0, le=1, description="Asymmetry of the runs that are compared; `null`: 0, or that of the first run."
    )
    slices: int | None = Field(
        None, ge=0, description="Training slices of the runs that are compared; `null`: 0 (all), or as the first run."
    )

    @model_validator(mode="after")
    def _two_methods(self) -> "PrimaryComparison":
        if (self.method, self.norm) == (self.against, self.against_norm):
            raise ValueError(f"expected two methods to compare, found '{self.method}' twice")
        return self

    def __str__(self) -> str:
        """The comparison as messages name it."""
        both = f"{series_text(self.method, self.norm)} against {series_text(self.against, self.against_norm)}"
        named = (("asymmetry", self.asymmetry), ("slices", self.slices))
        return ", ".join([both, *(f"{key} {value:g}" for key, value in named if value is not None)])

    def condition(self, conditions: Iterable[Condition]) -> Condition:
        """Asymmetry and slices of the runs that are compared, in a study of some conditions."""
        asymmetry, slices = base_condition(conditions)
        return (
            asymmetry if self.asymmetry is None else self.asymmetry,
            slices if self.slices is None else self.slices,
        )


def series_text(method: str, norm: str | None) -> str:
    """A method, with its norm in brackets where one is named.

    Examples:
        >>> series_text("projection", "frobenius"), series_text("plain", None)
        ('projection (frobenius)', 'plain')
    """
    return f"{method} ({norm})" if norm else method


class Judgement(Section):
    """How what was measured is compared; changing it repeats no measurement."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    equivalence_margin_db: float = Field(
        0.1, gt=0, description="Differences of PSNR within ± this are as good as none: 'close', 'not worse' [dB]."
    )
    primary: list[PrimaryComparison] = Field(
        [], max_length=5, description="At most five comparisons, corrected for each other; all others are exploratory."
    )

    @model_validator(mode="after")
    def _each_is_made_once(self) -> "Judgement":
        twice = [one for one, n_times in Counter(self.primary).items() if n_times > 1]
        if twice:
            raise ValueError(f"primary: '{twice[0]}' is written twice")
        return self
