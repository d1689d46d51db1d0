"""A catalogue as named arrays and texts, for files of feature states."""

from typing import Any

from data_contracts.array_file import ArrayFile, Arrays
from features.log.catalogue import Lists, LoggedCatalogue

_OF_VERSIONS = ("known", "since", "deleted", "log_price", "listed_at")
_PREFIX = "catalogue/"


def catalogue_arrays(catalogue: LoggedCatalogue) -> Arrays:
    """Name the arrays of a catalogue."""
    arrays = {f"{_PREFIX}{part}": getattr(catalogue, part) for part in ("starts", *_OF_VERSIONS)}
    arrays |= {f"{_PREFIX}codes/{name}": codes for name, codes in catalogue.attributes.items()}
    arrays |= {f"{_PREFIX}numbers/{name}": each for name, each in catalogue.numbers.items()}
    for name, lists in catalogue.lists.items():
        arrays[f"{_PREFIX}lists/{name}/offsets"] = lists.offsets
        arrays[f"{_PREFIX}lists/{name}/codes"] = lists.codes
    return arrays


def catalogue_strings(catalogue: LoggedCatalogue) -> dict[str, list[str]]:
    """Name the identifiers and values of a catalogue."""
    strings = {f"{_PREFIX}items": list(catalogue.item_ids)}
    return strings | {f"{_PREFIX}values/{name}": list(v) for name, v in catalogue.values.items()}


def catalogue_head(catalogue: LoggedCatalogue) -> dict[str, Any]:
    """Give the names of the columns of a catalogue, for the head of a file."""
    parts = ("attributes", "numbers", "lists")
    return {f"catalogue_{part}": list(getattr(catalogue, part)) for part in parts}


def catalogue_of(file: ArrayFile) -> LoggedCatalogue:
    """Put together a catalogue from what the functions above named."""
    item_ids = file.strings(f"{_PREFIX}items")
    starts = file.array(f"{_PREFIX}starts", len(item_ids) + 1)
    count = int(starts[-1])
    known, since, deleted, price, listed = (
        file.array(f"{_PREFIX}{part}", count) for part in _OF_VERSIONS
    )
    attributes, numbers, lists = (
        file.head[f"catalogue_{part}"] for part in ("attributes", "numbers", "lists")
    )
    return LoggedCatalogue(
        item_ids,
        starts,
        known,
        since,
        deleted,
        {name: file.array(f"{_PREFIX}codes/{name}", count) for name in attributes},
        {name: file.strings(f"{_PREFIX}values/{name}") for name in (*attributes, *lists)},
        price,
        listed,
        {name: file.array(f"{_PREFIX}numbers/{name}", count) for name in numbers},
        {name: _lists(file, name, count) for name in lists},
    )


def _lists(file: ArrayFile, name: str, count: int) -> Lists:
    offsets = file.array(f"{_PREFIX}lists/{name}/offsets", count + 1)
    return Lists(offsets, file.array(f"{_PREFIX}lists/{name}/codes", int(offsets[-1])))
