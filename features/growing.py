"""Arrays that grow by half, so that adding one more costs the same on average."""

import numpy as np


def grown(array: np.ndarray, rows: int, fill: int) -> np.ndarray:
    """Give an array of at least so many rows that begins with the given one.

    Args:
        array: [n, ...].
        rows: Rows needed.
        fill: What new rows hold.

    Returns:
        The array itself when it is long enough, else a copy with room for half as many again.
    """
    if rows <= len(array):
        return array
    shape = (rows + rows // 2, *array.shape[1:])
    # Zeros come from the system untouched, so that rows not written to take no memory.
    longer = np.zeros(shape, array.dtype) if fill == 0 else np.full(shape, fill, array.dtype)
    longer[: len(array)] = array
    return longer
