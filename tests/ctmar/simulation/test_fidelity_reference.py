"""Preset `benchmark` against numbers of the benchmark itself, and every field of a phantom against frozen numbers.

Unlike test_benchmark_fidelity.py, which compares whole images, this needs no data that we may not hand on. How the
numbers were derived: fidelity_reference.py.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.ctmar.simulation.fidelity_reference import (
    PHANTOM_SIZE,
    REFERENCE,
    SIZE,
    describe_field,
    expected_rays,
    image_of_rings,
    phantom,
    phantom_scanner,
    ring_means,
    scan_phantom,
)

from ctmar.config import Simulation
from ctmar.simulation.operators import NUMBA
from ctmar.simulation.polychromatic import beam_through
from ctmar.simulation.scanner import Scanner, build_scanner

NUMBERS = json.loads(REFERENCE.read_text(encoding="utf-8"))
KINDS = [(name, kind) for name, found in NUMBERS["benchmark"].items() for kind in found["rays"]]
FURTHEST = {"air": 2e-5, "tissue": 1.5e-4, "metal": 4e-4, "metal_edge": 2.5e-4}  # mean difference [no unit]
MOST_SCATTER = {"air": 1.1, "tissue": 1.15, "metal": 1.25, "metal_edge": 1.25}  # in standard deviations of the photons


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return build_scanner(Simulation(), SIZE)


def rays_agree(scanner: Scanner, name: str, kind: str) -> bool:
    """No offset, and a scatter about the expected value as large as that of the photons."""
    rays = NUMBERS["benchmark"][name]["rays"][kind]
    expected, deviation = expected_rays(scanner, rays, edge=kind == "metal_edge")
    difference = np.array(rays["stored"]) - expected
    return bool(abs(difference.mean()) < FURTHEST[kind] and 0.95 < (difference / deviation).std() < MOST_SCATTER[kind])


def with_tube(scanner: Scanner, **changes: float) -> Scanner:
    tube = replace(scanner.preset.tube, **changes)
    beam = beam_through(tube, "titanium", scanner.preset.titanium_factor)
    return replace(scanner, preset=replace(scanner.preset, tube=tube), beams={"titanium": beam})


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_stored_rays_are_what_the_scan_expects_to_the_noise(scanner: Scanner, name: str, kind: str):
    assert rays_agree(scanner, name, kind)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda s: with_tube(s, voltage_kv=121.0), "metal"),
        (lambda s: with_tube(s, aluminium_mm=3.5), "tissue"),
        (lambda s: replace(s, beams={"titanium": beam_through(s.preset.tube, "titanium", 1.0)}), "metal"),
        (lambda s: replace(s, preset=replace(s.preset, edge_loss=0.7)), "metal_edge"),
        (lambda s: replace(s, photons=1.5e7), "air"),
        (lambda s: replace(s, photons=3.0e7), "air"),
    ],
    ids=["121 kV", "3.5 mm of aluminium", "pure titanium", "partial volume", "fewer photons", "more photons"],
)
def test_another_scan_would_be_noticed(scanner: Scanner, change, kind: str):
    name, *_ = NUMBERS["benchmark"]
    assert not rays_agree(change(scanner), name, kind)


def mean_view_differs(scanner: Scanner, name: str) -> tuple[float, float]:
    """Largest and mean difference of the mean over all views, which depends on the means over rings alone."""
    found = NUMBERS["benchmark"][name]
    views = scanner.operators.project(scanner.geometry, image_of_rings(found["ring_means_of_image"]))
    # a beam of many energies reports up to 0.02 more than line integrals at 70 keV where it passes bone
    difference = np.abs(views.mean(axis=0) - found["mean_view"])
    return float(difference.max()), float(difference.mean())


@pytest.mark.parametrize("name", NUMBERS["benchmark"])
def test_the_projector_has_the_geometry_of_the_benchmark(scanner: Scanner, name: str):
    largest, mean = mean_view_differs(scanner, name)
    assert largest < 0.025
    assert mean < 0.01


@pytest.mark.parametrize("change", [{"pixel_cm": 1.01}, {"bin_cm": 1.01}, {"source_cm": 1.02}], ids=str)
def test_another_geometry_would_be_noticed(scanner: Scanner, change: dict[str, float]):
    name, *_ = NUMBERS["benchmark"]
    scaled = {key: getattr(scanner.geometry, key) * factor for key, factor in change.items()}
    largest, _ = mean_view_differs(replace(scanner, geometry=replace(scanner.geometry, **scaled)), name)
    assert largest > 0.025


@pytest.mark.parametrize("name", NUMBERS["benchmark"])
@pytest.mark.parametrize(("form", "agrees"), [("benchmark", True), ("exact", False)])
def test_the_reconstruction_is_that_of_the_benchmark(scanner: Scanner, name: str, form: str, agrees: bool):
    # reconstruction is linear: equal views give the rings of the image that all views give
    found = NUMBERS["benchmark"][name]
    views = np.tile(np.array(found["mean_view"], np.float32), (scanner.geometry.n_views, 1))
    (image,) = scanner.operators.reconstruct(scanner.geometry, views, form=form)
    difference = np.abs(ring_means(image) - found["ring_means_of_poly_CT"]).mean()
    assert bool(difference < 4e-4) == agrees


@pytest.mark.parametrize("preset", ["benchmark", "physical"])
def test_every_field_of_the_phantom_has_its_frozen_numbers(preset: str):
    for name, field in scan_phantom(phantom_scanner(preset)).items():
        found, expected = describe_field(field), NUMBERS["phantom"][preset][name]
        n_bins = field.shape[1]
        # photons of a ray may differ by one between processors, which is 1e-3 behind the metal
        np.testing.assert_allclose(found["values"], expected["values"], rtol=1e-4, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found["quantiles"], expected["quantiles"], rtol=1e-4, atol=2e-5, err_msg=name)
        np.testing.assert_allclose(found["row_sums"], expected["row_sums"], rtol=1e-5, atol=1e-5 * n_bins, err_msg=name)


def test_the_phantom_would_notice_another_seed_metal_or_projector():
    expected = NUMBERS["phantom"]["benchmark"]["ma_sinogram"]["values"]
    usual = phantom_scanner("benchmark")
    titanium = beam_through(usual.preset.tube, "titanium", 1.0)
    tilted = replace(NUMBA, project=lambda geometry, image: NUMBA.project(geometry, np.roll(image, 1, axis=1)))
    changed = {
        "seed": scan_phantom(usual, seed=1),
        "metal": scan_phantom(replace(usual, beams={"titanium": titanium})),
        "projector": scan_phantom(replace(usual, operators=tilted)),
    }
    for name, fields in changed.items():
        values = describe_field(fields["ma_sinogram"])["values"]
        assert not np.allclose(values, expected, rtol=1e-4, atol=1e-4), name


def test_the_phantom_is_what_its_numbers_were_derived_from():
    image, coverage = phantom()
    assert image.shape == coverage.shape == (PHANTOM_SIZE, PHANTOM_SIZE)
    body, bones, gas = 0.2 * 0.62 * 0.86 / 4, 0.18 * 0.06**2 + 2 * 0.3 * 0.07**2, -0.2 * 0.05**2
    assert float(image.sum()) / PHANTOM_SIZE**2 == pytest.approx(np.pi * (body + bones + gas), rel=0.002)
    assert float(coverage.sum()) / PHANTOM_SIZE**2 == pytest.approx(np.pi * (0.035**2 + 0.008**2), rel=0.02)
