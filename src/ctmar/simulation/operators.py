"""Which code projects and reconstructs: numba on the CPU, or torch on any device.

Both have the same numbers to 1e-4 of the largest, but not the same bytes: only files made on the same kind of device
are equal byte for byte.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctmar.errors import InputError
from ctmar.simulation.geometry import FanBeam
from ctmar.simulation.projector import project
from ctmar.simulation.reconstruction import Form, filtered_back_projection

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Operators:
    """A projector and a reconstruction of arrays: ``project(geometry, image)``, ``reconstruct(geometry, *sinograms)``.

    ``reconstruct`` takes the keyword ``form`` of :func:`ctmar.simulation.reconstruction.filtered_back_projection`.
    """

    name: str
    project: Callable[[FanBeam, NDArray[Any]], NDArray[np.float32]]
    reconstruct: Callable[..., list[NDArray[np.float32]]]


NUMBA = Operators("numba on cpu", project, filtered_back_projection)


def operators_on(device: Device) -> Operators:
    """Return what is fastest on a device: numba on `cpu`, torch on `cuda`.

    Raises:
        InputError: there is no such device.
    """
    if device == "cpu":
        return NUMBA
    # imported here: torch takes seconds to load, and numba does not need it
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"device: expected a GPU that torch can use for '{device}', found none: take 'cpu'")
    return torch_operators(device)


def torch_operators(device: str) -> Operators:
    """Return the torch operators on a device of torch; arrays go there and come back."""
    import torch

    from ctmar.simulation import projector_torch, reconstruction_torch

    def forward(geometry: FanBeam, image: NDArray[Any]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.asarray(image, np.float32)[None]).to(device)
        return projector_torch.project(geometry, batch)[0].cpu().numpy()

    def reconstruct(geometry: FanBeam, *sinograms: NDArray[Any], form: Form = "exact") -> list[NDArray[np.float32]]:
        batch = torch.from_numpy(np.stack(sinograms).astype(np.float32, copy=False)).to(device)
        return list(reconstruction_torch.filtered_back_projection(geometry, batch, form).cpu().numpy())

    return Operators(f"torch {torch.__version__} on {device}", forward, reconstruct)
