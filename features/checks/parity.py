"""Parity of two executors: every feature of every row is compared.

Counts must be equal to the bit, other values to one part in a million.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.served import ServedFeatures
from features.feature_set import FeatureSet
from features.kinds.counts import WindowCount

TOLERANCE = 1e-6
"""Relative difference that two floating values of one thing may have."""

KEYS = (Impressions.request_id.name, Impressions.item_id.name)


@dataclass
class Agreement:
    """Agreement of one feature.

    Attributes:
        name: The feature.
        is_count: Whether it must be equal to the bit.
        rows: Rows compared.
        unequal: Rows whose values are not equal to the bit.
        different: Rows whose values differ by more than is allowed.
        largest: Largest relative difference of two values that are both there.
        example: Request, item, the value found and the value wanted, of the first row that differs.
    """

    name: str
    is_count: bool
    rows: int = 0
    unequal: int = 0
    different: int = 0
    largest: float = 0.0
    example: tuple[str, str, float, float] | None = None

    def add(self, keys: pl.DataFrame, found: np.ndarray, wanted: np.ndarray) -> None:
        """Compare some rows.

        Args:
            keys: request_id and item_id of each.
            found: float32 [n], NaN where missing.
            wanted: The same from the other executor.
        """
        equal = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        self.rows += len(equal)
        if equal.all():
            return
        places = np.flatnonzero(~equal)
        one, other = found[places].astype(np.float64), wanted[places].astype(np.float64)
        gap = np.abs(one - other) / np.maximum(np.abs(one), np.abs(other))
        beyond = places if self.is_count else places[~(gap <= TOLERANCE)]
        self.unequal += len(places)
        self.different += len(beyond)
        self.largest = max(self.largest, float(np.nanmax(gap, initial=0.0)))
        if self.example is None and len(beyond):
            first = int(beyond[0])
            request, item = (str(keys[name][first]) for name in KEYS)
            self.example = (request, item, float(found[first]), float(wanted[first]))


@dataclass
class ParityReport:
    """Agreement of all features.

    Attributes:
        agreements: By feature.
        requests: Requests compared.
        without_values: Rows that one side alone has, which are not compared.
        notes: What became of the events that were played, by what.
    """

    agreements: list[Agreement]
    requests: int = 0
    without_values: int = 0
    notes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, features: FeatureSet) -> "ParityReport":
        """Begin a report on some features."""
        each = [Agreement(f.name, isinstance(f, WindowCount)) for f in features.features]
        return cls(each)

    @property
    def rows(self) -> int:
        """Rows compared."""
        return self.agreements[0].rows

    @property
    def different(self) -> list[Agreement]:
        """The features that differ."""
        return [each for each in self.agreements if each.different]

    @property
    def is_equal(self) -> bool:
        """Whether rows were compared and no feature differs."""
        return self.rows > 0 and not self.different

    @property
    def equal_to_the_bit(self) -> int:
        """Number of features whose every value is equal to the bit."""
        return sum(not each.unequal for each in self.agreements)

    def add(self, keys: pl.DataFrame, found: np.ndarray, wanted: np.ndarray) -> None:
        """Compare some requests.

        Args:
            keys: request_id and item_id of each row.
            found: float32 [n_rows, n_features].
            wanted: The same from the other executor.
        """
        self.requests += keys[KEYS[0]].n_unique()
        for column, agreement in enumerate(self.agreements):
            agreement.add(keys, found[:, column], wanted[:, column])


def compare_served(served: pl.DataFrame, rows: pl.LazyFrame, features: FeatureSet) -> ParityReport:
    """Compare the features of requests as a server logged them with those of the batch.

    Args:
        served: Rows that keep the contract of served features.
        rows: The batch executor's rows.
        features: What both computed.

    Returns:
        The report; `found` is what was served.

    Raises:
        DataError: The server computed other features than these.
    """
    hashes = served[ServedFeatures.schema_hash.name].unique().to_list()
    lengths = served[ServedFeatures.values.name].list.len().unique().to_list()
    if hashes != [features.schema_hash] or lengths != [len(features.names)]:
        raise DataError(
            f"served features of schema {hashes} with {lengths} values a row",
            f"schema {features.schema_hash} with {len(features.names)} values",
            "compare with a workspace of the bundle's configuration and version",
        )
    report = ParityReport.of(features)
    asked = served.select(KEYS[0]).unique().lazy()
    wanted = rows.join(asked, on=KEYS[0], how="semi").select(*KEYS, *features.names).collect()
    both = served.join(wanted, on=list(KEYS), how="inner", maintain_order="left")
    report.without_values = served.height - both.height
    if both.height:
        values = both[ServedFeatures.values.name].list.to_array(len(features.names))
        found = values.cast(pl.Array(pl.Float32, len(features.names))).to_numpy()
        report.add(both, np.asarray(found, np.float32), _matrix(both, features.names))
    return report


def _matrix(frame: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    return frame.select(pl.col(list(names)).cast(pl.Float32).fill_null(float("nan"))).to_numpy()
