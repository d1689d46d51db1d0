"""The online executor's catalogue: items and versions are added as the log names them."""

from collections.abc import Iterable, Mapping, Sequence
from sys import getsizeof
from typing import NamedTuple

import numpy as np
import polars as pl

from data_contracts.items import Items
from features.arrays.clock import NO_TIME
from features.arrays.compiled import compiled
from features.arrays.key_index import MISSING, grown
from features.log.catalogue import (
    Catalogue,
    Lists,
    LoggedCatalogue,
    as_codes,
    as_times,
    distinct,
    in_order_of_time,
    log_prices,
    plain,
    taken,
)
from features.log.item_columns import KNOWN, PRICE_BAND, SINCE, item_versions, price_bands, said


class _Chain(NamedTuple):
    """The versions of each item, chained from the one that is known last.

    Attributes:
        latest: int32 [n_items], the last version of each item; `MISSING` without one.
        before: int32 [n_versions], the version before each; `MISSING` for an item's first.
        known: int64 [n_versions], the last instant before it is known.
        since: int64 [n_versions], when it came into force.
        deleted: bool [n_versions].
    """

    latest: np.ndarray
    before: np.ndarray
    known: np.ndarray
    since: np.ndarray
    deleted: np.ndarray


class GrowingCatalogue(Catalogue):
    """A catalogue that grows; its arrays have room for more at their end.

    Args:
        begin: The versions to begin with; their codes stay.

    Attributes:
        item_ids: As of `Catalogue`, and so the other fields that it names.
        values: Likewise.
        lists: Likewise.
        index: Code of each item.
        late: Records of items that told of the past when they came, and copies: they are left out.
    """

    item_ids: list[str]
    values: dict[str, list[str]]
    lists: dict[str, Lists]

    def __init__(self, begin: LoggedCatalogue) -> None:
        self.item_ids = list(begin.item_ids)
        self.index = {item: code for code, item in enumerate(self.item_ids)}
        self.attributes = dict(begin.attributes)
        self.values = {name: list(values) for name, values in begin.values.items()}
        self.log_price, self.listed_at = begin.log_price, begin.listed_at
        self.numbers, self.lists = dict(begin.numbers), dict(begin.lists)
        self.late = 0
        self._codes = {name: _index(values) for name, values in self.values.items()}
        self._used = len(begin.known)
        ends = begin.starts[1:]
        has_any = np.diff(begin.starts) > 0
        places = np.arange(self._used, dtype=np.int32)
        before = places - np.int32(1)
        before[begin.starts[:-1][has_any]] = MISSING
        latest = np.where(has_any, ends - 1, MISSING).astype(np.int32)
        self._chain = _Chain(latest, before, begin.known, begin.since, begin.deleted)

    def versions(self, item: np.ndarray, moment: np.ndarray) -> np.ndarray:  # noqa: D102
        return _walk_back(self._chain, as_codes(item), as_times(moment))

    def version_of(self, item: int, moment: int) -> int:
        """`versions` of one, which takes longer to hand over to a compiled loop than to do."""
        latest, before, known, _, deleted = self._chain
        version = latest[item] if item >= 0 else MISSING
        while version >= 0 and known[version] >= moment:
            version = before[version]
        return int(version) if version >= 0 and not deleted[version] else MISSING

    def code_of(self, column: str) -> Mapping[str, int]:
        """Code of each value of a column of texts or lists."""
        return self._codes[column]

    def name(self, item_ids: Sequence[str], known: Iterable[int]) -> list[int]:
        """Give the codes of items that the log names; new ones get the next codes.

        Args:
            item_ids: The items, any of them several times.
            known: When each is named, UTC microseconds; new items are given codes in this order,
                equal ones by identifier.

        Returns:
            Their codes.
        """
        index = self.index
        if any(item not in index for item in item_ids):
            first: dict[str, int] = {}
            for item, time in zip(item_ids, known, strict=True):
                if item not in index:
                    first[item] = min(time, first.get(item, time))
            for item in sorted(first, key=lambda item: (first[item], item)):
                index[item] = len(self.item_ids)
                self.item_ids.append(item)
            latest = grown(self._chain.latest, len(self.item_ids), MISSING)
            self._chain = self._chain._replace(latest=latest)
        return [index[item] for item in item_ids]

    def add(self, records: pl.DataFrame) -> None:
        """Add versions of items, new or known ones.

        They may be known later than the clock: they are in force when it has passed that instant.

        Args:
            records: A table that keeps the contract of items, with every column that is read.
        """
        versions = item_versions(records).sort(KNOWN, Items.item_id.name, maintain_order=True)
        known, since = (plain(versions[name]) for name in (KNOWN, SINCE))
        codes = self.name(versions[Items.item_id.name].to_list(), known.tolist())
        items = np.array(codes, np.int64)
        in_force = np.flatnonzero(_is_news(self._chain, items, known, since))
        self.late += records.height - len(in_force)
        versions, items = versions[in_force], items[in_force]
        first, end = self._used, self._used + len(items)
        self._make_room(end)
        self._used = end
        self._fill(versions, first, end)
        chain, deleted = self._chain, versions[Items.deleted.name].fill_null(value=False)
        chain.known[first:end], chain.since[first:end] = known[in_force], since[in_force]
        chain.deleted[first:end] = deleted.to_numpy()
        for item, version in zip(items.tolist(), range(first, end), strict=True):
            _insert(chain, item, version)

    def _fill(self, versions: pl.DataFrame, first: int, end: int) -> None:
        """Write what is read of some versions to their places."""
        places = slice(first, end)
        self.log_price[places] = log_prices(versions[Items.price.name])
        listed = versions[Items.listed_at.name].dt.timestamp("us").fill_null(NO_TIME)
        self.listed_at[places] = listed.to_numpy()
        for name, numbers in self.numbers.items():
            column = versions[name].cast(pl.Float64).fill_null(float("nan"))
            numbers[places] = column.to_numpy()
        for name in self.values:
            column = said(price_bands(versions) if name == PRICE_BAND else versions[name])
            codes = self._name_values(name, in_order_of_time(column, versions[KNOWN]))
            if name in self.lists:
                self._extend(
                    name, first, [[codes[v] for v in e or ()] for e in distinct(column).to_list()]
                )
            else:
                found = [MISSING if each is None else codes[each] for each in column.to_list()]
                self.attributes[name][places] = found

    def _name_values(self, column: str, values: Sequence[str]) -> Mapping[str, int]:
        """Give new values of a column the next codes; gives the codes of all."""
        codes = self._codes[column]
        for value in values:
            if value not in codes:
                codes[value] = len(codes)
                self.values[column].append(value)
        return codes

    def _extend(self, column: str, first: int, values: Sequence[Sequence[int]]) -> None:
        """Write the lists of codes of the versions from a place on."""
        lists, sizes = self.lists[column], [len(each) for each in values]
        begin = int(lists.offsets[first])
        end = begin + sum(sizes)
        offsets = grown(lists.offsets, first + len(sizes) + 1, 0)
        codes = grown(lists.codes, end, 0)
        offsets[first + 1 : first + len(sizes) + 1] = begin + np.cumsum(sizes, dtype=np.int64)
        codes[begin:end] = [code for each in values for code in each]
        self.lists[column] = Lists(offsets, codes)

    def _make_room(self, versions: int) -> None:
        self.log_price = grown(self.log_price, versions, 0)
        self.listed_at = grown(self.listed_at, versions, 0)
        self.numbers = {name: grown(each, versions, 0) for name, each in self.numbers.items()}
        self.attributes = {
            name: grown(codes, versions, MISSING) for name, codes in self.attributes.items()
        }
        latest, *of_versions = self._chain
        self._chain = _Chain(latest, *(grown(each, versions, 0) for each in of_versions))

    @property
    def bytes_used(self) -> dict[str, int]:
        """Memory of what each item takes and of what each version takes, places free included."""
        lists = self.lists.values()
        of_versions = (
            *self._chain[1:],
            *(self.log_price, self.listed_at, *self.numbers.values(), *self.attributes.values()),
            *(part for each in lists for part in (each.offsets, each.codes)),
        )
        names = sum(getsizeof(part) for part in (self.item_ids, self.index, *self.item_ids))
        return {
            "items": names + self._chain.latest.nbytes,
            "versions": sum(part.nbytes for part in of_versions),
        }

    def logged(self, moment: int) -> LoggedCatalogue:
        """Give all that is in force at a moment, or will be, UTC microseconds."""
        used = slice(0, self._used)
        item = _items_of(self._chain, self._used)
        there = np.flatnonzero(item >= 0)
        order = there[np.lexsort((self._chain.known[there], item[there]))]
        return LoggedCatalogue(
            list(self.item_ids),
            np.searchsorted(item[order], np.arange(len(self.item_ids) + 1)),
            self._chain.known[used][order],
            self._chain.since[used][order],
            self._chain.deleted[used][order],
            {name: codes[used][order] for name, codes in self.attributes.items()},
            {name: list(values) for name, values in self.values.items()},
            self.log_price[used][order],
            self.listed_at[used][order],
            {name: values[used][order] for name, values in self.numbers.items()},
            {name: taken(lists, order) for name, lists in self.lists.items()},
        ).since_moment(moment)


def _index(values: Sequence[str]) -> dict[str, int]:
    return {value: code for code, value in enumerate(values)}


@compiled
def _walk_back(chain: _Chain, item: np.ndarray, moment: np.ndarray) -> np.ndarray:
    found = np.empty(len(item), np.int32)
    for n in range(len(item)):
        at = moment[n if len(moment) == len(item) else 0]
        version = _before(chain, item[n], at)
        found[n] = version if version >= 0 and not chain.deleted[version] else MISSING
    return found


@compiled
def _before(chain: _Chain, item: int, moment: int) -> int:
    """Find the last version of an item that is known before a moment; `MISSING` for none."""
    version = chain.latest[item] if 0 <= item < len(chain.latest) else np.int32(MISSING)
    while version >= 0 and chain.known[version] >= moment:
        version = chain.before[version]
    return int(version)


@compiled
def _is_news(chain: _Chain, item: np.ndarray, known: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Tell which records do not tell of the past when they become known, bool [n].

    A record that is there already is no news either.
    """
    news = np.empty(len(item), np.bool_)
    for n in range(len(item)):
        earlier = _before(chain, item[n], known[n] + 1)
        is_later = earlier < 0 or chain.since[earlier] <= since[n]
        is_copy = earlier >= 0 and chain.known[earlier] == known[n]
        is_copy = is_copy and chain.since[earlier] == since[n]
        news[n] = is_later and not is_copy
    return news


@compiled
def _insert(chain: _Chain, item: int, version: int) -> None:
    """Put a version into its item's chain.

    Versions that become known later and came into force before it go: they tell of the past then.
    """
    latest, before, known, since, _ = chain
    after, earlier = np.int32(MISSING), latest[item]
    while earlier >= 0 and known[earlier] > known[version]:
        if since[earlier] >= since[version]:
            after = earlier
        elif after >= 0:
            before[after] = before[earlier]
        else:
            latest[item] = before[earlier]
        earlier = before[earlier]
    before[version] = earlier
    if after >= 0:
        before[after] = version
    else:
        latest[item] = version


@compiled
def _items_of(chain: _Chain, versions: int) -> np.ndarray:
    """Find the item of each version, int64 [n]; `MISSING` for those out of every chain."""
    item = np.full(versions, np.int64(MISSING), np.int64)
    for code in range(len(chain.latest)):
        version = chain.latest[code]
        while version >= 0:
            item[version] = code
            version = chain.before[version]
    return item
