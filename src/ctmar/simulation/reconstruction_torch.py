"""Filtered back-projection of batches of sinograms in torch, on any device.

Filter, weights and interpolation are those of :mod:`ctmar.simulation.reconstruction`; the numbers agree to 1e-5.
"""

import torch
from torch import Tensor

from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.projector_torch import as_batch, interleave, portion_size, weighted_sums
from ctmar.simulation.reconstruction import Form, detector_padding, ramp_filter


def filtered_back_projection(geometry: FanBeam, sinograms: Tensor, form: Form = "exact") -> Tensor:
    """Reconstruct a batch of sinograms with the Ram-Lak filter.

    Args:
        geometry: the scan.
        sinograms: line integrals, shape (n, n_views, n_bins).
        form: `exact` or `benchmark`, see :mod:`ctmar.simulation.reconstruction`.

    Returns:
        Images of shape (n, image_size, image_size) in 1/cm, on the device of the sinograms.

    Raises:
        InputError: the sinograms have another shape than the geometry.
    """
    sinograms = as_batch(sinograms, geometry.sinogram_shape, "sinograms")
    views = _filtered_views(geometry, sinograms, form)
    n_padded, size = views.shape[2], geometry.image_size
    table = views.permute(1, 2, 0).flatten(0, 1).contiguous()
    images = table.new_zeros(size * size, len(sinograms))
    angles = torch.from_numpy(geometry.angles).to(sinograms.device)
    n_views = max(1, portion_size(sinograms.device) // (2 * size * size))
    for first in range(0, geometry.n_views, n_views):
        index, weight = _weights(geometry, angles[first : first + n_views], n_padded, form)
        images += weighted_sums(table[first * n_padded :], index, weight)
    return images.T.reshape(len(sinograms), size, size).contiguous()


def _filtered_views(geometry: FanBeam, sinograms: Tensor, form: Form) -> Tensor:
    bin_weight, response, length = (
        torch.from_numpy(part).to(sinograms.device) if not isinstance(part, int) else part
        for part in ramp_filter(geometry, form)
    )
    spectrum = torch.fft.rfft(sinograms * bin_weight, length, dim=2) * response
    filtered = torch.fft.irfft(spectrum, length, dim=2)[:, :, : geometry.n_bins]
    return torch.nn.functional.pad(filtered, (detector_padding(geometry),) * 2)


def _weights(geometry: FanBeam, angles: Tensor, n_padded: int, form: Form) -> tuple[Tensor, Tensor]:
    """Places in the flattened views and their weights, two neighbours per view, shape (n_pixels, 2·n_views)."""
    half = (geometry.image_size - 1) / 2
    centres = (torch.arange(geometry.image_size, device=angles.device, dtype=torch.float64) - half) * geometry.pixel_cm
    x, y = centres.repeat(len(centres))[:, None], -centres.repeat_interleave(len(centres))[:, None]
    cosine, sine = angles.cos(), angles.sin()
    magnification = geometry.source_cm / (geometry.source_cm - (sine * x - cosine * y))
    centre = (geometry.n_bins - 1) / 2 + detector_padding(geometry)
    position = (cosine * x + sine * y) * magnification / geometry.virtual_bin_cm + centre
    left_bin = position.floor()
    weight = (magnification**2 if form == "exact" else magnification).to(torch.float32)
    right = (position - left_bin).to(torch.float32) * weight
    first = (left_bin + n_padded * torch.arange(len(angles), device=angles.device)).to(torch.int32)
    return interleave(first, first + 1), interleave(weight - right, right)
