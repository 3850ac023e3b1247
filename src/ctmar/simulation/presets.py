"""What a preset fixes: the scan, the tube, and how metal and images are treated."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ctmar.errors import InputError
from ctmar.simulation.geometry import BENCHMARK_SIZE, FanBeam, benchmark_geometry, physical_geometry
from ctmar.simulation.reconstruction import Form
from ctmar.simulation.spectrum import Tube

PIXEL_MM = (0.05, 50.0)  # a temporal bone at high resolution; a body on the coarsest working grid


@dataclass(frozen=True)
class Preset:
    """A way to simulate.

    Attributes:
        real_size: pixels have the size they have in the patient; else the field is that of SynDeepLesion, 15.4 cm.
        edge_loss: path that partial volume takes from the outermost bins of a metal trace, as a share of a bin of
            the benchmark's detector; a wider bin of a smaller grid loses less of its path.
        partial_coverage: metal paths follow the fractional coverage of pixels; else the binary mask.
        titanium_factor: factor on the attenuation of pure titanium.
        form: form of the filtered back-projection.
        tube: settings of the X-ray tube.
    """

    real_size: bool
    edge_loss: float
    partial_coverage: bool
    titanium_factor: float
    form: Form
    tube: Tube = field(default_factory=Tube)

    def geometry(self, image_size: int, pixel_mm: float | None) -> FanBeam:
        """Return the scan of an image of ``image_size`` pixels; ``pixel_mm`` matters at real size only.

        Raises:
            InputError: the pixel is needed and not known, or not positive.
        """
        if not self.real_size:
            return benchmark_geometry(image_size)
        smallest, largest = PIXEL_MM
        if pixel_mm is None or not smallest <= pixel_mm <= largest:
            raise InputError(
                f"preset 'physical': expected the pixel size from {smallest:g} to {largest:g} mm, found {pixel_mm}"
            )
        return physical_geometry(image_size, pixel_mm)

    def edge_share(self, image_size: int) -> float:
        """Share of the metal path that the outermost bins of a trace keep.

        Examples:
            >>> PRESETS["benchmark"].edge_share(416), PRESETS["benchmark"].edge_share(104)
            (0.25, 0.8125)
        """
        return max(0.0, 1.0 - self.edge_loss * image_size / BENCHMARK_SIZE)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values for the provenance of a file."""
        return asdict(self)


PRESETS: Mapping[str, Preset] = {
    # edge_loss and titanium_factor are calibrated on the stored sinograms of SynDeepLesion
    "benchmark": Preset(
        real_size=False, edge_loss=0.75, partial_coverage=False, titanium_factor=1.016, form="benchmark"
    ),
    "physical": Preset(real_size=True, edge_loss=0.0, partial_coverage=True, titanium_factor=1.0, form="exact"),
}


def preset_named(name: str) -> Preset:
    """Return a preset by its name in the configuration.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset '{name}': expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
