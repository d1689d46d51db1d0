from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.world.arrays import between, concatenate


@dataclass(frozen=True)
class Rows:
    number: np.ndarray
    pair: np.ndarray
    name: str = "rows"


def test_parts_are_joined_and_cut_again() -> None:
    whole = Rows(np.arange(5), np.arange(10).reshape(5, 2), "some")
    parts = [between(whole, 0, 2), between(whole, 2, 5)]
    assert [part.name for part in parts] == ["some", "some"]
    assert parts[1].pair.tolist() == [[4, 5], [6, 7], [8, 9]]
    again = concatenate(parts)
    assert again.number.tolist() == whole.number.tolist()
    assert again.pair.tolist() == whole.pair.tolist()
