"""Arrays that grow by doubling, so that adding one more costs the same on average."""

import numpy as np


def grown(array: np.ndarray, rows: int, fill: int) -> np.ndarray:
    """Give an array of at least so many rows that begins with the given one.

    Args:
        array: [n, ...].
        rows: Rows needed.
        fill: What new rows hold.

    Returns:
        The array itself when it is long enough, else one of at least twice its length.
    """
    if rows <= len(array):
        return array
    shape = (max(rows, 2 * len(array)), *array.shape[1:])
    # Zeros come from the system untouched, so that rows not written to take no memory.
    longer = np.zeros(shape, array.dtype) if fill == 0 else np.full(shape, fill, array.dtype)
    longer[: len(array)] = array
    return longer
