"""Where simulated data come from: software, settings, physical tables, geometry."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ctmar.config import Simulation
from ctmar.simulation.materials import attenuation_source, metal
from ctmar.simulation.scanner import Scanner
from ctmar.simulation.spectrum import spectrum_source
from ctmar.store.provenance import provenance_json

PACKAGES = ("equiproj", "numpy", "scipy", "h5py", "numba")


def describe(settings: Simulation, scanner: Scanner, facts: Mapping[str, str]) -> dict[str, Any]:
    """Return the provenance of what ``scanner`` simulates, with further ``facts``, as plain values."""
    text = provenance_json(
        settings.published(),
        PACKAGES,
        preset=scanner.preset.describe(),
        operators=scanner.operators.name,
        geometry=asdict(scanner.geometry),
        spectrum=spectrum_source(scanner.preset.tube),
        attenuation={**attenuation_source(), "metal": {name: asdict(metal(name)) for name in settings.metal}},
        **facts,
    )
    return json.loads(text)
