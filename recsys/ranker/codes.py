"""Codes of attributes: what a ranker learned by number is read by value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.arrays.look_up import look_up
from features.feature_set import FeatureSet


@dataclass(frozen=True)
class KnownCodes:
    """Codes of a catalogue turned into those that a ranker learned from.

    Attributes:
        maps: By place of a column of the matrix, the ranker's code for each code of the catalogue,
            float32 [n_codes]; NaN for a value that the ranker has not seen.
    """

    maps: Mapping[int, np.ndarray]

    @classmethod
    def of(
        cls,
        features: FeatureSet,
        learned: Mapping[str, Sequence[str]],
        values: Mapping[str, Sequence[str]],
    ) -> "KnownCodes":
        """Match the values of a catalogue with those that a ranker learned from.

        Args:
            features: The columns of the matrix.
            learned: By column of items, the value of each code in training.
            values: The same of the catalogue.

        Returns:
            The codes.
        """
        maps = {}
        for column, attribute in features.coded.items():
            code = {value: number for number, value in enumerate(learned[attribute])}
            found = [code.get(value, np.nan) for value in values[attribute]]
            maps[features.names.index(column)] = np.array(found, np.float32)
        return cls(maps)

    def read(self, matrix: np.ndarray) -> tuple[np.ndarray, int]:
        """Give a matrix by the ranker's codes.

        Args:
            matrix: float32 [n_rows, n_features or more], by the catalogue's codes.

        Returns:
            The matrix, the same one where nothing changes, and how many values were not seen in
            training: they are NaN, as if missing.
        """
        unseen, read = 0, matrix
        for column, codes in self.maps.items():
            own = matrix[:, column]
            there = ~np.isnan(own)
            found = np.full(len(own), np.nan, np.float32)
            found[there] = look_up(codes, own[there].astype(np.int32), np.nan)
            if np.array_equal(found, own, equal_nan=True):
                continue
            unseen += int(np.isnan(found[there]).sum())
            read = matrix.copy() if read is matrix else read
            read[:, column] = found
        return read, unseen
