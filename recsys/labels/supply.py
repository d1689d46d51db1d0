"""Supply of a period: how many of its slates something can be learned from, and what they lack."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_REQUESTS, _POSITIVES, _NEGATIVES = "without_requests", "without_positives", "without_negatives"
_TEXT, _FEW = "without_text", "with_too_few_slates"
LACKS = (_REQUESTS, _POSITIVES, _NEGATIVES, _TEXT, _FEW)
"""What a period may lack."""


@dataclass(frozen=True)
class Lack:
    """What keeps a period from being learned from.

    Attributes:
        rule: One of `LACKS`.
        found: What the period has, in words.
        advice: What helps.
    """

    rule: str
    found: str
    advice: str


@dataclass(frozen=True)
class Supply:
    """Slates of a period, each count among those of the one before.

    Attributes:
        slates: All of them.
        positive: With a positive.
        both: With a positive and a negative.
        usable: With a positive and a negative that have what is asked for, such as text.
        several: Of all slates, those with two candidates or more.
    """

    slates: int
    positive: int
    both: int
    usable: int
    several: int

    @classmethod
    def of(cls, offsets: np.ndarray, gain: np.ndarray, known: np.ndarray | None = None) -> "Supply":
        """Count the slates.

        Args:
            offsets: Where each slate's rows begin, and the end, int64 [n_slates + 1].
            gain: Gain of each row, [n_rows]; 0 for negatives.
            known: Which rows have what is asked for, bool [n_rows]; all when absent.

        Returns:
            The counts.
        """
        positive = gain > 0
        taken = _any(positive, offsets)
        both = taken & _any(~positive, offsets)
        usable = both if known is None else both & usable_slates(offsets, gain, known)
        masks = (taken, both, usable, np.diff(offsets) > 1)
        return cls(len(offsets) - 1, *(int(mask.sum()) for mask in masks))

    def lack(self, needed: int = 1, setting: str = "") -> Lack | None:
        """Find the first thing that keeps so many slates from being usable.

        Args:
            needed: Usable slates that are needed, at least 1.
            setting: The setting that asks for so many.

        Returns:
            What is missing, its likely cause and what helps; None when there are enough.
        """
        return next(self._lacks(needed, setting), None)

    def _lacks(self, needed: int, setting: str) -> Iterator[Lack]:
        stages = {
            _REQUESTS: self.slates,
            _POSITIVES: self.positive,
            _NEGATIVES: self.both,
            _TEXT: self.usable,
        }
        for rule, count in stages.items():
            if not count:
                yield Lack(rule, self._told(), self._advice(rule))
        for rule, count in stages.items():
            if count < needed:
                advice = f"lower {setting}, which is {needed:,}, or: {self._advice(rule)}"
                yield Lack(_FEW, self._told(), advice)

    def _told(self) -> str:
        return (
            f"{self.slates:,} slates, {self.positive:,} of them with a positive, {self.both:,} "
            f"with a negative too, {self.usable:,} usable"
        )

    def _advice(self, rule: str) -> str:
        if rule == _NEGATIVES and not self.several:
            return (
                "every slate has one candidate; the table of impressions needs all that were "
                "shown beside it"
            )
        return {
            _REQUESTS: "move the moments under [split] in recsys.toml apart, within the log's time",
            _POSITIVES: "if something was taken then, its kind is not under [labels] grades, or it "
            "names another request, user or item; else move the moments under [split]",
            _NEGATIVES: "what was shown and not taken has to be in the table of impressions too",
            _TEXT: "too few of the candidates have a text: fill the columns that [text] template "
            "names, or name those that say something",
        }[rule]


def usable_slates(offsets: np.ndarray, gain: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Tell which slates have a positive and a negative among the rows that are known.

    Args:
        offsets: Where each slate's rows begin, and the end, int64 [n_slates + 1].
        gain: Gain of each row, [n_rows]; 0 for negatives.
        known: The rows that count, bool [n_rows].

    Returns:
        bool [n_slates].
    """
    positive = gain > 0
    return _any(positive & known, offsets) & _any(~positive & known, offsets)


def _any(rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Tell which slates have such a row, bool [n_slates]."""
    before = np.append(0, np.cumsum(rows))
    return before[offsets[1:]] > before[offsets[:-1]]
