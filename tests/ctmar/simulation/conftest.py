"""A body for every test of the simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def body() -> NDArray[np.float32]:
    """Return a slice of 128 × 128 pixels in 1/cm: an ellipse of water with a spine, two ribs and gas."""
    rows, columns = np.indices((128, 128)) - 63.5
    image = np.where((rows / 42) ** 2 + (columns / 56) ** 2 < 1, 0.2, 0.0)
    for row, column, radius, value in ((22, 0, 9, 0.35), (5, -48, 4, 0.45), (5, 48, 4, 0.45), (-18, 20, 8, 0.0)):
        image[np.hypot(rows - row, columns - column) < radius] = value
    return image.astype(np.float32)
