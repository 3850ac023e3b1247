"""The images that a reader explores: every example as numbers, with what the scripts of the page need beside them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctmar.config import Report
from ctmar.config.methods import METHODS, Kind
from ctmar.reporting.example_images import ExamplePair
from ctmar.reporting.images import NO_ERROR, TOO_HIGH, TOO_LOW
from ctmar.reporting.packed_images import in_steps, pack, step_for
from ctmar.reporting.wording import plural

# Level and width as radiologists set them, as lower and upper limit [HU]; the first window is that of the study
_WINDOWS_HU = {
    "Soft tissue": (-160.0, 240.0),  # 40 / 400
    "Bone": (-500.0, 1500.0),  # 500 / 2000
    "Lung": (-1350.0, 150.0),  # −600 / 1500
    "Metal, wide": (-1024.0, 3071.0),  # all of 12 bits
}
# Until a reader chooses: models beside truth and input, and models whose input is turned
_AT_FIRST = {Kind.PLAIN, Kind.PENALTY}
_TURNED_AT_FIRST = _AT_FIRST | {Kind.WEIGHT}
_ERROR_LIMITS_HU = (50.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True)
class ExploredImage:
    """An image of an example: its name, its quality in words, and the image that it is packed as a difference to.

    The last two say whether it is shown until a reader chooses: by itself, and with the input turned.
    """

    name: str
    quality: str
    base: int | None
    at_first: bool = False
    turned_at_first: bool = False


@dataclass(frozen=True)
class TurnedImage:
    """What a model makes of the input turned by quarter turns, turned back; packed as a difference to ``upright``."""

    upright: int
    turns: int


@dataclass(frozen=True)
class ExploredExample:
    """One test pair: facts of its images in the order in which ``data`` holds them; the mask of the metal comes last.

    ``label`` tells it from other examples in a list.
    """

    title: str
    label: str
    size: int
    step_hu: float
    outline: str
    images: list[ExploredImage]
    turned: list[TurnedImage]
    data: str

    @property
    def facts(self) -> dict[str, Any]:
        """All but the numbers."""
        return {name: value for name, value in asdict(self).items() if name != "data"}


@dataclass(frozen=True)
class Explorer:
    """The explored examples of one network, and how many were left out for the size of the page."""

    settings: Report
    examples: list[ExploredExample]
    n_left_out: int

    @property
    def facts(self) -> dict[str, Any]:
        """What the scripts of the page read as JSON."""
        return {
            "windows": self.windows,
            "limits_hu": sorted({*_ERROR_LIMITS_HU, self.settings.error_hu}),
            "limit_hu": self.settings.error_hu,
            "colours": [TOO_LOW, NO_ERROR, TOO_HIGH],
            "examples": [example.facts for example in self.examples],
        }

    @property
    def has_turned(self) -> bool:
        """Whether outputs for turned inputs were kept of any example."""
        return any(example.turned for example in self.examples)

    @property
    def models(self) -> set[int]:
        """The images whose models have outputs for turned inputs."""
        return {one.upright for example in self.examples for one in example.turned}

    @property
    def windows(self) -> list[tuple[str, float, float]]:
        """Names and limits [HU] of the windows that are offered."""
        return [("As in the report", *self.settings.window_hu), *((name, *w) for name, w in _WINDOWS_HU.items())]


def build_explorer(pairs: Sequence[ExamplePair], settings: Report, max_bytes: int) -> Explorer:
    """Pack the example pairs of one network, as many as fit into ``max_bytes`` of the page.

    Raises:
        InputError: an image holds NaN or infinity.
    """
    examples: list[ExploredExample] = []
    n_bytes = 0
    for pair in pairs:
        example = _explored(pair)
        n_bytes += len(example.data)
        if n_bytes > max_bytes:
            break
        examples.append(example)
    return Explorer(settings, examples, len(pairs) - len(examples))


def _explored(pair: ExamplePair) -> ExploredExample:
    facts = [ExploredImage("Ground truth", "without metal, the image to come near to", None, at_first=True)]
    images_hu = [pair.truth_hu]
    first_model: int | None = None
    for image in pair.images:
        # references are like the truth, models like each other
        base = 0 if first_model is None else first_model
        if image.method is not None and first_model is None:
            first_model = len(facts)
        kind = None if image.method is None else METHODS[image.method].kind
        at_first = kind in _AT_FIRST or image.name == "Input"
        facts.append(ExploredImage(image.name, str(image.quality), base, at_first, kind in _TURNED_AT_FIRST))
        images_hu.append(image.image_hu)
    turned = _turned(pair)
    images_hu += [image_hu for _, image_hu in turned]
    step_hu = step_for(images_hu)
    stored: list[NDArray[np.int16]] = [in_steps(image_hu, step_hu) for image_hu in images_hu]
    bases = [*(fact.base for fact in facts), *(fact.upright for fact, _ in turned), None]
    data = pack([*stored, pair.mask.astype(np.int16)], bases)
    label = f"{plural(pair.n_metal, 'metal pixel')}, {pair.title}"
    return ExploredExample(
        pair.title, label, pair.size, step_hu, pair.outline, facts, [fact for fact, _ in turned], data
    )


def _turned(pair: ExamplePair) -> list[tuple[TurnedImage, NDArray[np.float32]]]:
    """Outputs for turned inputs, turned back, of all models of which they were kept [HU]."""
    return [
        (TurnedImage(upright, turns), image_hu)
        for upright, image in enumerate(pair.images, start=1)  # 0 is the truth
        if image.turned_back is not None
        for turns, image_hu in enumerate(image.turned_back, start=1)
    ]
