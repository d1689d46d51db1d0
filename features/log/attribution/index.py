"""Index of the impressions of the last attribution window, and of interactions that wait for one.

Slates and interactions come in the order in which they became known. An interaction belongs to one
impression of its item, or to none: that of the request it names; else the latest one to its user,
or, where it has no user, in its session. It is the latest one that was known when the interaction
was, of equal times the one known first; else the first that becomes known later. It must have been
shown at or before the interaction, and both must be known within a window of that moment.
Of the interactions of one kind that one impression led to, the first one known counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from features.arrays.clock import NEVER
from features.arrays.key_index import MISSING, KeyIndex, grown
from features.log.attribution.loops import WAYS, Chains, Taken, decide

_LINKS = ("heads", "waits", "older")


class Slates(NamedTuple):
    """Slates in the order in which they became known, of one instant the latest first.

    Attributes:
        codes: int64 [n, WAYS], hashes of request, user and session, none negative; `MISSING`
            without one.
        time: int64 [n], when each was shown, UTC microseconds.
        known: int64 [n], the last instant before that was known.
        user: int32 [n], code; `MISSING` for a guest.
        starts: int64 [n + 1], where the items of each begin.
        item: int32 [n_impressions], codes.
    """

    codes: np.ndarray
    time: np.ndarray
    known: np.ndarray
    user: np.ndarray
    starts: np.ndarray
    item: np.ndarray


NO_SLATES = Slates(
    np.zeros((0, WAYS), np.int64),
    *(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32)),
    *(np.zeros(1, np.int64), np.zeros(0, np.int32)),
)


class Attributed(NamedTuple):
    """Impressions that led to interactions, once a kind; all int64 [n].

    Attributes:
        time: When the impression was shown, UTC microseconds.
        known: The last instant before both were known.
        user: Code of who was shown it; `MISSING` for a guest.
        item: Code.
        kind: Place of the interaction's kind.
        shown_known: The last instant before the impression was known.
    """

    time: np.ndarray
    known: np.ndarray
    user: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    shown_known: np.ndarray


@dataclass
class _Generation:
    """What came within a window: 14 bytes an impression, 200 a slate, 70 a waiting interaction."""

    keys: KeyIndex
    arrays: Chains
    slates: int = 0
    items: int = 0
    waiting: int = 0

    @classmethod
    def empty(cls) -> "_Generation":
        number, code = np.zeros(0, np.int64), np.zeros(0, np.int32)
        of_slates = (number, number, number, code, np.zeros(1, np.int64), code, number)
        return cls(KeyIndex(), Chains(number, number, *of_slates, number, number, code, number))

    def make_room(self, slates: Slates, waiting: int) -> None:
        """Append slates, not yet chained, and make room for codes and waiting interactions."""
        first, low = self.slates, self.items
        self.slates, self.items = first + len(slates.time), low + len(slates.item)
        arrays, most = self.arrays, self.waiting + waiting
        if len(slates.time) or self.keys.rows_used > len(arrays.heads) or most > len(arrays.next):
            sizes = self._sizes(most)
            chains = {
                name: grown(array, sizes[name], MISSING if name in _LINKS else 0)
                for name, array in arrays._asdict().items()
            }
            self.arrays = arrays = Chains(**chains)
        arrays.time[first : self.slates], arrays.known[first : self.slates] = slates[1:3]
        arrays.user[first : self.slates] = slates.user
        arrays.item[low : self.items] = slates.item
        arrays.starts[first : self.slates + 1] = low + slates.starts

    def _sizes(self, waiting: int) -> dict[str, int]:
        """Lengths of the arrays, by name."""
        return {
            **dict.fromkeys(("heads", "waits"), self.keys.rows_used),
            **dict.fromkeys(("time", "known", "user"), self.slates),
            "older": self.slates * WAYS,
            "starts": self.slates + 1,
            **dict.fromkeys(("item", "led"), self.items),
            **dict.fromkeys(("next", "wait_time", "wait_item", "wait_kind"), waiting),
        }

    def laid_out(self) -> dict[str, np.ndarray]:
        """Give all as arrays by name."""
        sizes = self._sizes(self.waiting)
        laid = {name: array[: sizes[name]] for name, array in self.arrays._asdict().items()}
        return {"codes": self.keys.codes, **laid}

    @classmethod
    def laid_in(cls, arrays: Mapping[str, np.ndarray]) -> "_Generation":
        """Read what `laid_out` gave."""
        own = Chains(*(arrays[name] for name in Chains._fields))
        return cls(KeyIndex(arrays["codes"]), own, len(own.time), len(own.item), len(own.next))


class ImpressionIndex:
    """Index of impressions and of interactions that wait for one, over the last window.

    It is kept in two generations, each of a window at least: when the younger has lasted as long,
    nothing in the older can be led from any more, and it is dropped whole.

    Args:
        window: The attribution window, in microseconds.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._turn = -NEVER
        self._old, self._young = _Generation.empty(), _Generation.empty()

    def decide(self, slates: Slates, taken: Taken, before: int) -> Attributed:
        """Take in what became known, and decide which impressions led to interactions.

        Args:
            slates: The slates.
            taken: The interactions.
            before: All of them were known before this instant, and what comes later was not.

        Returns:
            Impressions that led to an interaction of a kind for the first time.
        """
        old, young = self._old, self._young
        first, codes = young.slates, slates.codes.ravel()
        rows = _added(young.keys, codes).reshape(-1, WAYS)
        taken_rows = _added(young.keys, taken.code)
        is_late = bool((slates.known > slates.time).any())
        most = len(taken.time) + (old.waiting + young.waiting if is_late else 0)
        young.make_room(slates, len(taken.time))
        found = np.empty((len(Attributed._fields), most), np.int64)
        count, young.waiting = decide(
            (old.arrays, young.arrays),
            (old.keys.find(codes).reshape(-1, WAYS), rows),
            (old.keys.find(taken.code), taken_rows),
            (first, young.waiting, self.window),
            taken,
            found,
        )
        if before >= self._turn:
            self._old, self._young, self._turn = young, _Generation.empty(), before + self.window
        return Attributed(*found[:, :count])

    def users_before(self, moment: int) -> set[int]:
        """Give the codes of users who were shown what is kept before a moment."""
        users: set[int] = set()
        for each in (self._old, self._young):
            early = each.arrays.time[: each.slates] < moment
            users.update(each.arrays.user[: each.slates][early].tolist())
        return users

    def laid_out(self) -> dict[str, np.ndarray]:
        """Give all as arrays by name."""
        both = {"old": self._old, "young": self._young}
        arrays = {
            f"{age}/{name}": array
            for age, of in both.items()
            for name, array in of.laid_out().items()
        }
        return {"turn": np.array([self._turn]), **arrays}

    @classmethod
    def laid_in(cls, window: int, arrays: Mapping[str, np.ndarray]) -> "ImpressionIndex":
        """Read what `laid_out` gave."""
        index = cls(window)
        index._turn = int(arrays["turn"][0])
        index._old, index._young = (
            _Generation.laid_in(
                {name: arrays[f"{age}/{name}"] for name in ("codes", *Chains._fields)}
            )
            for age in ("old", "young")
        )
        return index


def _added(keys: KeyIndex, codes: np.ndarray) -> np.ndarray:
    """Give the rows of codes, new ones the next rows; `MISSING` for a missing code."""
    there = codes >= 0
    if there.all():
        return keys.add(codes)
    rows = np.full(len(codes), MISSING, np.int64)
    rows[there] = keys.add(codes[there])
    return rows
