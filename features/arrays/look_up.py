"""Look-ups in arrays that may end before a code does."""

import numpy as np

from features.arrays.compiled import compiled


@compiled
def look_up(values: np.ndarray, place: np.ndarray, missing: float) -> np.ndarray:
    """Values at some places, of the values' type [n]; `missing` for a place that is not there."""
    found = np.empty(len(place), values.dtype)
    for n in range(len(place)):
        found[n] = values[place[n]] if 0 <= place[n] < len(values) else missing
    return found
