"""What a preset fixes: the scan, the tube, and how metal and images are treated."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam, benchmark_geometry, physical_geometry
from ctmar.simulation.reconstruction import Form
from ctmar.simulation.spectrum import Tube


@dataclass(frozen=True)
class Preset:
    """A way to simulate.

    Attributes:
        real_size: pixels have the size they have in the patient; else the field is that of SynDeepLesion, 15.4 cm.
        edge_share: share of the metal path kept by the outermost bins of a metal trace (partial volume).
        partial_coverage: metal paths follow the fractional coverage of pixels; else the binary mask.
        titanium_factor: factor on the attenuation of pure titanium.
        form: form of the filtered back-projection.
        tube: settings of the X-ray tube.
    """

    real_size: bool
    edge_share: float
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
        if pixel_mm is None or not pixel_mm > 0:
            raise InputError(f"preset 'physical': expected the pixel size in mm, a positive number, found {pixel_mm}")
        return physical_geometry(image_size, pixel_mm)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values for the provenance of a file."""
        return asdict(self)


PRESETS: Mapping[str, Preset] = {
    # edge_share and titanium_factor are calibrated on the stored sinograms of SynDeepLesion
    "benchmark": Preset(
        real_size=False, edge_share=0.25, partial_coverage=False, titanium_factor=1.016, form="benchmark"
    ),
    "physical": Preset(real_size=True, edge_share=1.0, partial_coverage=True, titanium_factor=1.0, form="exact"),
}


def preset_named(name: str) -> Preset:
    """Return a preset by its name in the configuration.

    Raises:
        InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset '{name}': expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
