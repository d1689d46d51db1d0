"""Text columns of the frozen encoder, untrained: what the fine-tuned match is judged against.

With the cosine s_j of the candidate's text to that of each of the user's past items:

    nearest = max_j s_j
    kernel = width * log sum_j exp((s_j - 1) / width)

The candidate's own copies in the history are left out, as for the interest match.
"""

import numpy as np

from features.kinds.slate import slate_percentile
from recsys.labels.slates import LabelledSlates
from recsys.text.head import leading_directions

FROZEN_COLUMNS = ("frozen_nearest", "frozen_kernel", "slate_percentile_frozen_kernel")
"""Names of the columns in a ranker."""
_DIRECTIONS = 128
_WIDTH = 0.1


def frozen_columns(vectors: np.ndarray, slates: LabelledSlates, newest: int) -> np.ndarray:
    """Compare each candidate's text with those of the user's past items.

    Args:
        vectors: Of the items, from the frozen encoder, float32 [n_items, dim]; NaN rows for items
            without text. Compared in the 128 directions in which they differ most.
        slates: The requests.
        newest: Past items to look at.

    Returns:
        float32 [n_rows, 3]: nearest, kernel, and the kernel's percentile within the slate; NaN for
        candidates without text or without a past item to compare with.
    """
    table = _unit(vectors @ leading_directions(vectors, _DIRECTIONS))
    rows = slates.rows
    found = np.full((len(rows), 2), np.nan, np.float32)
    for request in range(len(slates)):
        low, high = rows.offsets[request : request + 2]
        past = slates.history.of(request).item[:newest]
        found[low:high] = compare(table, rows.item[low:high], past, _WIDTH)
    place = slate_percentile(found[:, 1].astype(np.float64), rows.request)
    return np.column_stack([found, place]).astype(np.float32)


def compare(table: np.ndarray, item: np.ndarray, past: np.ndarray, width: float) -> np.ndarray:
    """Compare candidates with past items.

    Args:
        table: Unit vectors of the items, float32 [n_items, dim]; NaN rows for items without text.
        item: int32 [n]; negative for unknown items.
        past: int32 [k], places of known items.
        width: Of the kernel, in cosine.

    Returns:
        Nearest and kernel, float32 [n, 2]; NaN where there is nothing to compare.
    """
    candidates = table[item]
    candidates[item < 0] = np.nan
    past = past[~np.isnan(table[past, 0])]
    found = np.full((len(item), 2), np.nan, np.float32)
    if not len(past):
        return found
    similarity = candidates @ table[past].T
    similarity[item[:, None] == past[None, :]] = -np.inf
    nearest = similarity.max(axis=1)
    some = nearest > -np.inf
    mass = np.exp((similarity[some] - nearest[some, None]) / np.float32(width)).sum(axis=1)
    found[some, 0] = nearest[some]
    found[some, 1] = nearest[some] - 1 + np.float32(width) * np.log(mass)
    return found


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return unit
