"""Compiled loops of attribution: chains of slates and of waiting interactions."""

from typing import NamedTuple

import numpy as np

from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING

WAYS = 3
"""A slate is found by its request, by its user and by its session."""


class Taken(NamedTuple):
    """Interactions in the order in which they became known, no copies among them.

    Attributes:
        code: int64 [n], hash of the request, else of the user, else of the session; `MISSING`
            without any.
        time: int64 [n], when each happened, UTC microseconds.
        known: int64 [n], the last instant before that was known.
        item: int64 [n], codes.
        kind: int64 [n], place of the kind, 0..62.

    All are contiguous and can be written to, the form that loops are compiled for.
    """

    code: np.ndarray
    time: np.ndarray
    known: np.ndarray
    item: np.ndarray
    kind: np.ndarray


class Chains(NamedTuple):
    """Slates and waiting interactions, chained by their codes.

    Attributes:
        heads: int64 [n_codes], first link of the slates of a code, the latest first; link / `WAYS`
            is the slate.
        waits: int64 [n_codes], first waiting interaction of a code.
        older: int64 [n_slates * WAYS], the link after each.
        time: int64 [n_slates].
        known: int64 [n_slates].
        user: int32 [n_slates].
        starts: int64 [n_slates + 1].
        item: int32 [n_impressions].
        led: int64 [n_impressions], a bit for each kind that the impression led to.
        next: int64 [n_waiting], the waiting interaction after each.
        wait_time: int64 [n_waiting].
        wait_item: int32 [n_waiting].
        wait_kind: int64 [n_waiting].
    """

    heads: np.ndarray
    waits: np.ndarray
    older: np.ndarray
    time: np.ndarray
    known: np.ndarray
    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray
    led: np.ndarray
    next: np.ndarray
    wait_time: np.ndarray
    wait_item: np.ndarray
    wait_kind: np.ndarray


@compiled
def decide(
    both: tuple[Chains, Chains],
    slate_rows: tuple[np.ndarray, np.ndarray],
    taken_rows: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int, int],
    taken: Taken,
    found: np.ndarray,
) -> tuple[int, int]:
    """Take slates and interactions in by turns, slates of one instant first.

    Args:
        both: The older and the younger generation, which has the new slates, not yet chained.
        slate_rows: Rows of the new slates' codes in both, int64 [n_new, WAYS].
        taken_rows: Rows of the interactions' codes in both, int64 [n].
        sizes: The first new slate, interactions that wait in the younger generation, the window.
        taken: The interactions.
        found: int64 [6, most], gets what `Attributed` names.

    Returns:
        How many were found, and how many interactions of the younger generation have waited.
    """
    old, young = both
    first, waiting, window = sizes
    slate, end, count = first, first + len(slate_rows[1]), 0
    for n in range(len(taken.time)):
        time, known, item, kind = taken.time[n], taken.known[n], taken.item[n], taken.kind[n]
        while slate < end and young.known[slate] <= known:
            count = _show(both, slate_rows, first, slate, window, found, count)
            slate += 1
        row = taken_rows[1][n]
        if row < 0:
            continue
        before, before_place = _latest(old, taken_rows[0][n], item, time, known, window)
        after, place = _latest(young, row, item, time, known, window)
        if before >= 0 and (after < 0 or old.time[before] >= young.time[after]):
            count = _lead(old, before, before_place, known, kind, found, count)
        elif after >= 0:
            count = _lead(young, after, place, known, kind, found, count)
        elif known < time + window:
            young.wait_time[waiting], young.wait_item[waiting] = time, item
            young.wait_kind[waiting], young.next[waiting] = kind, young.waits[row]
            young.waits[row] = waiting
            waiting += 1
    while slate < end:
        count = _show(both, slate_rows, first, slate, window, found, count)
        slate += 1
    return count, waiting


@compiled
def _show(
    both: tuple[Chains, Chains],
    rows: tuple[np.ndarray, np.ndarray],
    first: int,
    slate: int,
    window: int,
    found: np.ndarray,
    count: int,
) -> int:
    """Chain a slate, and let the interactions that waited for it go; gives how many are found."""
    old, young = both
    if young.known[slate] >= young.time[slate] + window:
        return count
    for way in range(WAYS):
        row = rows[1][slate - first, way]
        if row < 0:
            continue
        link = slate * WAYS + way
        after, at = MISSING, young.heads[row]
        while at >= 0 and young.time[at // WAYS] >= young.time[slate]:
            after, at = at, young.older[at]
        young.older[link] = at
        if after < 0:
            young.heads[row] = link
        else:
            young.older[after] = link
        if young.known[slate] > young.time[slate]:
            count = _let_go(old, rows[0][slate - first, way], young, slate, found, count)
            count = _let_go(young, row, young, slate, found, count)
    return count


@compiled
def _let_go(
    waiting: Chains, row: int, shown: Chains, slate: int, found: np.ndarray, count: int
) -> int:
    """Attribute waiting interactions of a code to a slate that became known."""
    at, before = waiting.waits[row] if row >= 0 else MISSING, MISSING
    while at >= 0:
        place = MISSING
        if waiting.wait_time[at] >= shown.time[slate]:
            place = _place(shown, slate, waiting.wait_item[at])
        if place < 0:
            before = at
        else:
            known, kind = shown.known[slate], waiting.wait_kind[at]
            count = _lead(shown, slate, place, known, kind, found, count)
            if before < 0:
                waiting.waits[row] = waiting.next[at]
            else:
                waiting.next[before] = waiting.next[at]
        at = waiting.next[at]
    return count


@compiled
def _latest(
    shown: Chains, row: int, item: int, time: int, known: int, window: int
) -> tuple[int, int]:
    """Find the latest slate of a code that led to an interaction, and the item's place."""
    link = shown.heads[row] if row >= 0 else MISSING
    while link >= 0 and known < shown.time[link // WAYS] + window:
        slate = link // WAYS
        if shown.time[slate] <= time:
            place = _place(shown, slate, item)
            if place >= 0:
                return slate, place
        link = shown.older[link]
    return MISSING, MISSING


@compiled
def _place(shown: Chains, slate: int, item: int) -> int:
    for place in range(shown.starts[slate], shown.starts[slate + 1]):
        if shown.item[place] == item:
            return place
    return MISSING


@compiled
def _lead(
    shown: Chains, slate: int, place: int, known: int, kind: int, found: np.ndarray, count: int
) -> int:
    """Note that an impression led to a kind, unless it had before; gives how many are found."""
    bit = np.int64(1) << np.int64(kind)
    if shown.led[place] & bit:
        return count
    shown.led[place] |= bit
    found[0, count], found[1, count] = shown.time[slate], known
    found[2, count], found[3, count] = shown.user[slate], shown.item[place]
    found[4, count], found[5, count] = kind, shown.known[slate]
    return count + 1
