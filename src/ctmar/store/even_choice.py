"""Some of many, evenly spaced from the first to the last."""

import numpy as np


def evenly_spaced(n_entries: int, n_chosen: int) -> list[int]:
    """At most ``n_chosen`` of the numbers 0 to ``n_entries`` − 1, the first and the last among them.

    Examples:
        >>> evenly_spaced(5, 3), evenly_spaced(2, 3), evenly_spaced(0, 3)
        ([0, 2, 4], [0, 1], [])
    """
    positions = np.linspace(0, n_entries - 1, min(n_chosen, n_entries))
    return [int(position) for position in positions.round()]
