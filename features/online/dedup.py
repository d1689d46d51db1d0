"""Deduplication: hashes of counted event ids and visits, by UTC day, while late events may come."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from features.arrays.clock import DAY
from features.arrays.key_index import MISSING, KeyIndex

_MIX = 0x9E3779B97F4A7C15
_LOW_BITS = (1 << 64) - 1


def hash_of(text: str) -> int:
    """Hash of an identifier, 63 bits, the same in every process and version."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


@lru_cache(maxsize=4096)
def way_hash(way: str, name: str | None) -> int:
    """Hash of one way to find an impression, such as by its user, 63 bits; `MISSING` for None."""
    return MISSING if name is None else hash_of(f"{way} {name}")


@lru_cache(maxsize=4096)
def visit_hash(session: str | None) -> int:
    """Hash of a visit's session, 63 bits; 0 for an event without one."""
    return 0 if session is None else hash_of(session)


def visit_codes(user: np.ndarray, session_hash: np.ndarray) -> np.ndarray:
    """Codes of visits within their day, from user and session, int64 [n], 0 or more."""
    mixed = (user.astype(np.uint64) + np.uint64(1)) * np.uint64(_MIX)
    return ((mixed ^ session_hash.view(np.uint64)) >> np.uint64(1)).astype(np.int64)


def visit_code(user: int, session_hash: int) -> int:
    """`visit_codes` of one."""
    return ((((user + 1) * _MIX) & _LOW_BITS) ^ session_hash) >> 1


class SeenIds:
    """Sets of hashes by UTC day of the event.

    Two of a day's identifiers are taken for one with a probability of n^2 / 2^64 for n events.

    Args:
        days: Numbers to begin with, int64 [n], by day number.

    Attributes:
        days: The set of each day number.
    """

    def __init__(self, days: Mapping[int, np.ndarray] | None = None) -> None:
        self.days = {day: KeyIndex(codes) for day, codes in (days or {}).items()}

    def add(self, time: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Add hashes; gives which of them are new to their day.

        Args:
            time: int64 [n], UTC microseconds of the events, in the order in which they count.
            codes: int64 [n], not negative.

        Returns:
            bool [n]; of equal ones the first is new.
        """
        day = time // DAY
        if not len(day):
            return np.zeros(0, np.bool_)
        if int(day.min()) == int(day.max()):
            return self._add(int(day[0]), codes)
        new = np.zeros(len(codes), np.bool_)
        for each in np.unique(day).tolist():
            inside = np.flatnonzero(day == each)
            new[inside] = self._add(each, codes[inside])
        return new

    def _add(self, day: int, codes: np.ndarray) -> np.ndarray:
        keys = self._of(day)
        # A new number gets the row after those used so far.
        before = keys.rows_used - 1
        rows = keys.add(codes)
        highest = np.maximum.accumulate(rows)
        new: np.ndarray = rows > np.maximum(np.append(before, highest[:-1]), before)
        return new

    def add_one(self, time: int, code: int) -> bool:
        """Add one hash; gives whether it is new to its day."""
        keys = self._of(time // DAY)
        known = keys.rows_used
        return keys.add_one(code) >= known

    def _of(self, day: int) -> KeyIndex:
        keys = self.days.get(day)
        if keys is None:
            keys = self.days[day] = KeyIndex()
        return keys

    def forget(self, before_day: int) -> None:
        """Drop the days before one."""
        for day in [day for day in self.days if day < before_day]:
            del self.days[day]

    def arrays(self) -> dict[str, np.ndarray]:
        """All sets as arrays: day numbers, sizes, and the concatenated hashes."""
        parts = [keys.codes for keys in self.days.values()]
        return {
            "days": np.array(list(self.days), np.int64),
            "sizes": np.array([len(part) for part in parts], np.int64),
            "codes": np.concatenate([np.zeros(0, np.int64), *parts]),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "SeenIds":
        """Sets from what `arrays` gave."""
        ends = np.cumsum(arrays["sizes"])
        parts = np.split(arrays["codes"], ends[:-1]) if len(ends) else []
        return cls(dict(zip(arrays["days"].tolist(), parts, strict=True)))
