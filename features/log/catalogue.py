"""The catalogue as arrays: what features read of each version of an item."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from data_contracts.items import Items
from features.arrays.clock import NO_TIME
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING
from features.log.item_columns import KNOWN, PRICE_BAND, SINCE, price_bands, said


@dataclass(frozen=True)
class Lists:
    """A column of items that holds any number of values each, such as tags.

    Attributes:
        offsets: int64 [n_versions + 1], where the values of each version begin.
        codes: int32 [n_all], the values of all versions, each value once a version.
    """

    offsets: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, column: pl.Series, known: Sequence[str]) -> "Lists":
        """Encode a column of lists whose values are all among the known ones."""
        unique = distinct(column)
        sizes = unique.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = unique.explode().drop_nulls()
        return cls(np.append(0, np.cumsum(sizes)), encode(flat, pl.Series(known, dtype=pl.String)))

    def of_versions(self, version: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of some versions, end to end.

        Args:
            version: int [n]; `MISSING` has no value.

        Returns:
            Place among the asked versions, and value, both int64 [n_pairs].
        """
        there = np.flatnonzero(version >= 0)
        start = self.offsets[version[there]]
        size = self.offsets[version[there] + 1] - start
        place = np.repeat(there, size)
        entry = np.arange(len(place)) + np.repeat(start - (np.cumsum(size) - size), size)
        return place, self.codes[entry].astype(np.int64)


class Catalogue(ABC):
    """Items by code, and what features read of each of their versions.

    An item has a code as soon as the log names it, in an event or in a record of the items; it is
    unknown until its first version is known, and once it is deleted.

    Attributes:
        item_ids: Identifiers in the order of the codes, [n_items].
        attributes: Per column of texts, int32 codes [n_versions]; `MISSING` where it is null.
        values: Per column of texts or lists, the value of each code, in the order in which they
            became known.
        log_price: float64 [n_versions], log(1 + price); NaN when unknown.
        listed_at: int64 [n_versions], UTC microseconds; `NO_TIME` when unknown.
        numbers: Per declared number, float64 [n_versions]; NaN where it is null.
        lists: Per column of lists, its values.
    """

    item_ids: Sequence[str]
    attributes: Mapping[str, np.ndarray]
    values: Mapping[str, Sequence[str]]
    log_price: np.ndarray
    listed_at: np.ndarray
    numbers: Mapping[str, np.ndarray]
    lists: Mapping[str, Lists]

    @abstractmethod
    def versions(self, item: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Version of each item as of a moment: the last one that was known before it.

        Args:
            item: int [n], codes; `MISSING` has no version.
            moment: int64 [n], or [1] for one that all share, UTC microseconds.

        Returns:
            int32 [n]; `MISSING` for an item that is unknown then.
        """

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class LoggedCatalogue(Catalogue):
    """The versions of a table of items, all of them; nothing is added to it.

    Attributes:
        item_ids: As of `Catalogue`, and so the other fields that it names.
        starts: int64 [n_items + 1], where the versions of each item begin.
        known: int64 [n_versions], the last instant before each version is known, ascending within
            an item; `NO_TIME` for one that always was.
        since: int64 [n_versions], when each came into force, by which a late record is told.
        deleted: bool [n_versions], whether the item left the shop with it.
    """

    item_ids: Sequence[str]
    starts: np.ndarray
    known: np.ndarray
    since: np.ndarray
    deleted: np.ndarray
    attributes: Mapping[str, np.ndarray]
    values: Mapping[str, Sequence[str]]
    log_price: np.ndarray
    listed_at: np.ndarray
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    lists: Mapping[str, Lists] = field(default_factory=dict)

    @classmethod
    def of(
        cls, versions: pl.DataFrame, columns: Sequence[str], item_ids: pl.Series
    ) -> "LoggedCatalogue":
        """Read the catalogue from the versions of a table of items.

        Args:
            versions: From `item_versions`.
            columns: What is read beside price and listing: columns of text become attributes,
                columns of numbers numbers, columns of lists lists, blank texts no value;
                `PRICE_BAND` is made of the price.
            item_ids: The items in the order of their codes; all of the table are among them.

        Returns:
            The catalogue.
        """
        code = encode(versions[Items.item_id.name], item_ids)
        order = np.lexsort((versions[KNOWN].to_numpy(), code))
        versions, code = versions[order], code[order]
        known = versions[KNOWN]
        codes, values, numbers, lists = {}, {}, {}, {}
        for name in columns:
            column = said(price_bands(versions) if name == PRICE_BAND else versions[name])
            if column.dtype.is_numeric():
                numbers[name] = plain(column.cast(pl.Float64).fill_null(float("nan")))
                continue
            values[name] = in_order_of_time(column, known)
            if isinstance(column.dtype, pl.List):
                lists[name] = Lists.of(column, values[name])
            else:
                codes[name] = encode(column, pl.Series(values[name], dtype=pl.String))
        return cls(
            item_ids.to_list(),
            np.append(0, np.cumsum(np.bincount(code, minlength=len(item_ids)))).astype(np.int64),
            plain(known),
            plain(versions[SINCE]),
            plain(versions[Items.deleted.name].fill_null(value=False)),
            codes,
            values,
            log_prices(versions[Items.price.name]),
            plain(versions[Items.listed_at.name].dt.timestamp("us").fill_null(NO_TIME)),
            numbers,
            lists,
        )

    def versions(self, item: np.ndarray, moment: np.ndarray) -> np.ndarray:  # noqa: D102
        item, moment = as_codes(item), as_times(moment)
        return _last_before(self.starts, self.known, self.deleted, item, moment)

    @property
    def item_of_version(self) -> np.ndarray:
        """Code of each version's item, int64 [n_versions]."""
        return np.repeat(np.arange(len(self.item_ids)), np.diff(self.starts))

    def values_known_by(self, name: str, moment: int) -> int:
        """Count the values of a column of texts or lists that were known before a moment."""
        known = self.known < moment
        if name in self.lists:
            _, codes = self.lists[name].of_versions(np.flatnonzero(known))
            return int(codes.max(initial=MISSING)) + 1
        return int(self.attributes[name][known].max(initial=MISSING)) + 1

    def since_moment(self, moment: int) -> "LoggedCatalogue":
        """Leave out the versions that others had replaced before a moment, UTC microseconds."""
        item = self.item_of_version
        replaced = np.zeros(len(item), np.bool_)
        replaced[:-1] = (item[1:] == item[:-1]) & (self.known[1:] < moment)
        kept = np.flatnonzero(~replaced)
        return replace(
            self,
            starts=np.searchsorted(kept, self.starts),
            **{name: getattr(self, name)[kept] for name in ("known", "since", "deleted")},
            **{name: getattr(self, name)[kept] for name in ("log_price", "listed_at")},
            attributes={name: codes[kept] for name, codes in self.attributes.items()},
            numbers={name: values[kept] for name, values in self.numbers.items()},
            lists={name: taken(lists, kept) for name, lists in self.lists.items()},
        )


def taken(lists: Lists, version: np.ndarray) -> Lists:
    """Lists of some versions, int64 [n], ascending."""
    place, codes = lists.of_versions(version)
    sizes = np.bincount(place, minlength=len(version))
    return Lists(np.append(0, np.cumsum(sizes)).astype(np.int64), codes.astype(np.int32))


@compiled
def _last_before(
    starts: np.ndarray,
    known: np.ndarray,
    deleted: np.ndarray,
    item: np.ndarray,
    moment: np.ndarray,
) -> np.ndarray:
    found = np.full(len(item), np.int32(MISSING), np.int32)
    for n in range(len(item)):
        if item[n] < 0 or item[n] >= len(starts) - 1:
            continue
        at = moment[n if len(moment) == len(item) else 0]
        low, high = starts[item[n]], starts[item[n] + 1]
        while low < high:
            middle = (low + high) // 2
            if known[middle] < at:
                low = middle + 1
            else:
                high = middle
        if low > starts[item[n]] and not deleted[low - 1]:
            found[n] = low - 1
    return found


def plain(column: pl.Series) -> np.ndarray:
    """Column as an array of its own: the one form that loops are compiled for."""
    return np.array(column.to_numpy())


def as_codes(codes: np.ndarray) -> np.ndarray:
    """Codes as loops are compiled for, int32."""
    return np.require(codes, np.int32, ["C", "W"])


def as_times(times: np.ndarray) -> np.ndarray:
    """Times as loops are compiled for, int64."""
    return np.require(times, np.int64, ["C", "W"])


def encode(values: pl.Series, known: pl.Series) -> np.ndarray:
    """Place of each value among `known`, int32; `MISSING` for null and for others."""
    enum = pl.Enum(known)
    codes = values.cast(enum, strict=False).to_physical().cast(pl.Int32)
    return plain(codes.fill_null(MISSING))


def distinct(column: pl.Series) -> pl.Series:
    """Values of each list once, sorted; no nulls."""
    return column.list.drop_nulls().list.unique().list.sort()


def in_order_of_time(column: pl.Series, known: pl.Series) -> list[str]:
    """List the values of a column of texts or lists in the order in which they became known.

    Args:
        column: Of the versions.
        known: int64, of the versions.

    Returns:
        Each value once; those that became known at one instant are sorted.
    """
    value, time = column.alias("value"), known.alias("known")
    frame = pl.DataFrame([value, time])
    if isinstance(column.dtype, pl.List):
        frame = frame.explode("value")
    first = frame.drop_nulls("value").group_by("value").agg(pl.col("known").min())
    return first.sort("known", "value")["value"].to_list()


def log_prices(price: pl.Series) -> np.ndarray:
    """Logarithm of one plus each price, float64; NaN without one."""
    return np.log1p(price.fill_null(float("nan")).to_numpy())
