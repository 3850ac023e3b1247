"""Hounsfield numbers and linear attenuation."""

import numpy as np
from numpy.typing import NDArray

WATER_PER_CM = 0.192  # water at the reference energy of 70 keV
AIR_HU = -1000.0
_LOWEST_HU = -1024.0  # what lies below is padding of one kind or another: -2000, -2048, -3024, -32768


def hu_to_attenuation(image_hu: NDArray[np.floating]) -> NDArray[np.float32]:
    """Linear attenuation at 70 keV from Hounsfield numbers.

    μ = 0.192 · (1 + HU / 1000), clipped at 0 because noise in air falls below it.

    Args:
        image_hu: Hounsfield numbers, any shape [HU].

    Returns:
        Attenuation of the same shape [1/cm].

    Examples:
        >>> hu_to_attenuation(np.array([-1024.0, 0.0, 1000.0])).tolist() == np.float32([0, 0.192, 0.384]).tolist()
        True
    """
    scaled = WATER_PER_CM * (1 + np.asarray(image_hu, dtype=np.float64) / 1000)
    return np.maximum(scaled, 0).astype(np.float32)


def attenuation_to_hu(attenuation_per_cm: NDArray[np.floating]) -> NDArray[np.float32]:
    """Hounsfield numbers from linear attenuation at 70 keV: HU = 1000 · (μ / 0.192 − 1).

    Args:
        attenuation_per_cm: attenuation, any shape [1/cm].

    Returns:
        Hounsfield numbers of the same shape [HU].

    Examples:
        >>> attenuation_to_hu(np.array([0.0, 0.192])).tolist()
        [-1000.0, 0.0]
    """
    return (1000 * (np.asarray(attenuation_per_cm, dtype=np.float64) / WATER_PER_CM - 1)).astype(np.float32)


def padding_to_air(image_hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn what no scanner measures, values below -1024 HU outside the field of view, to air, in place.

    Args:
        image_hu: Hounsfield numbers, any shape [HU].

    Returns:
        The same array.

    Examples:
        >>> padding_to_air(np.array([-3024.0, -1024.0, 40.0], np.float32)).tolist()
        [-1000.0, -1024.0, 40.0]
    """
    image_hu[image_hu < _LOWEST_HU] = AIR_HU
    return image_hu
