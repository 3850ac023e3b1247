"""What every section of the configuration has in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")


class Section(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
