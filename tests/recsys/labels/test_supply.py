from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.labels.supply import LACKS, Supply, usable_slates

Candidate = tuple[float, bool]
"""Gain, and whether it has a text."""

candidates = st.tuples(st.sampled_from([0.0, 1.0, 3.0]), st.booleans())
worlds = st.lists(st.lists(candidates, min_size=1, max_size=4), max_size=8)


def supply(slates: Sequence[Sequence[Candidate]]) -> Supply:
    return Supply.of(*arrays(slates))


def arrays(slates: Sequence[Sequence[Candidate]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [row for slate in slates for row in slate]
    offsets = np.append(0, np.cumsum([len(slate) for slate in slates], dtype=np.int64))
    return (
        offsets,
        np.array([gain for gain, _ in rows], np.float64),
        np.array([known for _, known in rows], bool),
    )


def teaches(slate: Sequence[Candidate]) -> bool:
    gains = [gain for gain, known in slate if known]
    return any(gain > 0 for gain in gains) and any(gain == 0 for gain in gains)


@given(worlds, st.integers(1, 9))
def test_nothing_is_lacking_exactly_when_enough_slates_teach(
    slates: list[list[Candidate]], needed: int
) -> None:
    taught = [teaches(slate) for slate in slates]
    assert usable_slates(*arrays(slates)).tolist() == taught
    found = supply(slates)
    assert found.slates >= found.positive >= found.both >= found.usable == sum(taught)
    lack = found.lack(needed)
    assert (lack is None) == (sum(taught) >= needed)


TAKEN, LEFT, SILENT, SILENT_TAKEN = (1.0, True), (0.0, True), (0.0, False), (3.0, False)


@pytest.mark.parametrize(
    ("slates", "rule", "advice"),
    [
        ([], "without_requests", "[split]"),
        ([[LEFT, LEFT]], "without_positives", "[labels] grades"),
        ([[TAKEN], [LEFT]], "without_negatives", "one candidate"),
        ([[TAKEN, TAKEN], [LEFT, LEFT]], "without_negatives", "shown and not taken"),
        ([[TAKEN, SILENT]], "without_text", "[text] template"),
        ([[SILENT_TAKEN, LEFT]], "without_text", "[text] template"),
        ([[TAKEN, LEFT]], "with_too_few_slates", "lower the batch, which is 2, or: move"),
        ([[TAKEN, LEFT], [LEFT, LEFT]], "with_too_few_slates", "[labels] grades"),
        ([[TAKEN, LEFT], [TAKEN, SILENT]], "with_too_few_slates", "[text] template"),
    ],
)
def test_the_first_cause_is_named_with_what_helps_against_it(
    slates: list[list[Candidate]], rule: str, advice: str
) -> None:
    lack = supply(slates).lack(2, "the batch")
    assert lack is not None
    assert lack.rule == rule
    assert rule in LACKS
    assert advice in lack.advice
    assert f"{len(slates)} slates" in lack.found


def test_one_slate_is_enough_and_all_rows_are_known_where_nothing_else_is_said() -> None:
    offsets, gain, _ = arrays([[SILENT_TAKEN, SILENT], [LEFT]])
    found = Supply.of(offsets, gain)
    assert (found.slates, found.positive, found.both, found.usable, found.several) == (
        2,
        1,
        1,
        1,
        1,
    )
    assert found.lack() is None
