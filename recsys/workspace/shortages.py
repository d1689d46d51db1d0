"""Shortages of a workspace: what the periods of its split lack to be trained on and judged by."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from data_contracts.events import Impressions
from recsys.labels.grades import grade_impressions
from recsys.labels.split import Period
from recsys.labels.supply import LACKS, Lack, Supply
from recsys.ranker.settings import LONGEST_SLATE
from recsys.text.settings import BATCH_SLATES, held_out
from recsys.workspace.config import WorkspaceConfig

TEXT, TEXT_STOPPING = "text", "text_stopping"
RANKER, VALIDATION, TEST = "ranker", "validation", "test"
PARTS = (TEXT, TEXT_STOPPING, RANKER, VALIDATION, TEST)
"""The periods of the split, and the last slates of the text model's, which stop its training."""
LONG, SMALL = "slate_longer_than_lightgbm_takes", "with_too_few_rows"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shortage:
    """What keeps a part of the split from being used.

    Attributes:
        part: One of `PARTS`.
        rule: What is wrong.
        count: Slates that are too long; else 1.
        told: What was found, the first offender if there is one, and what helps.
    """

    part: str
    rule: str
    count: int
    told: str


SHORTAGE_RULES: tuple[tuple[str, str], ...] = (
    *((part, rule) for part in PARTS for rule in LACKS if part == TEXT or rule in LACKS[:3]),
    (RANKER, LONG),
    (RANKER, SMALL),
)
"""Every part with every rule that is checked of it."""


def shortages(
    known: np.ndarray,
    impressions: pl.DataFrame,
    interactions: pl.DataFrame,
    config: WorkspaceConfig,
    labelled_until: int,
) -> Iterator[Shortage]:
    """Look for what keeps a split from being trained on or judged by.

    Args:
        known: Which impressions' items had a text at their request, bool [n_impressions].
        impressions: A table that keeps its contract.
        interactions: The same, each event once.
        config: Split, labels, and how much the text model and the ranker need.
        labelled_until: First moment whose requests have no final labels, UTC microseconds.

    Yields:
        At most one lack of slates a part, and what the ranker cannot do with its own.
    """
    request, time = Impressions.request_id, Impressions.timestamp
    grade = grade_impressions(impressions, interactions.lazy(), config.labels)
    gain = np.asarray(config.labels.label_gain)[grade]
    rows = impressions.select(
        request.name,
        time.name,
        pl.Series("known", known),
        pl.Series("gain", gain, pl.Float64),
    ).sort(time.name, request.name)
    for name, period in vars(config.periods).items():
        inside = period.until(_EPOCH + timedelta(microseconds=labelled_until))
        yield from _of_period(name, inside, rows.filter(inside.contains(time.col)), config)


def _of_period(
    name: str, period: Period, rows: pl.DataFrame, config: WorkspaceConfig
) -> Iterator[Shortage]:
    slates = rows.group_by(Impressions.request_id.name, maintain_order=True).len()
    sizes = slates["len"].to_numpy()
    offsets = np.append(0, np.cumsum(sizes, dtype=np.int64))
    gain, known = rows["gain"].to_numpy(), rows["known"].to_numpy()
    if name == TEXT:
        cut = len(sizes) - held_out(len(sizes))
        first, rest = offsets[: cut + 1], offsets[cut:]
        learned = Supply.of(first, gain, known).lack(config.text.batch_slates, BATCH_SLATES)
        if learned is None:
            yield from _lacking(TEXT_STOPPING, period, Supply.of(rest, gain).lack())
        else:
            yield from _lacking(TEXT, period, learned)
        return
    lack = Supply.of(offsets, gain).lack()
    yield from _lacking(name, period, lack)
    if name == RANKER and lack is None:
        ids = slates[Impressions.request_id.name]
        yield from _unrankable(ids, sizes, config)


def _lacking(part: str, period: Period, lack: Lack | None) -> Iterator[Shortage]:
    if lack is not None:
        yield Shortage(part, lack.rule, 1, f"{period}: {lack.found}; {lack.advice}")


def _unrankable(ids: pl.Series, sizes: np.ndarray, config: WorkspaceConfig) -> Iterator[Shortage]:
    """Look for slates that LightGBM refuses, and for too few rows to split any."""
    long = np.flatnonzero(sizes > LONGEST_SLATE)
    if len(long):
        told = (
            f"request {ids[int(long[0])]!r} has {sizes[long[0]]:,} candidates, lambdarank takes "
            f"{LONGEST_SLATE:,}; leave such requests out, or cut them to what was seen"
        )
        yield Shortage(RANKER, LONG, len(long), told)
    settings = config.ranker
    sampled = int(sizes.sum() * settings.bagging_fraction)
    if sampled < 2 * settings.min_data_in_leaf:
        told = (
            f"{sizes.sum():,} rows, of which a tree gets {sampled:,}; two leaves of "
            f"min_data_in_leaf = {settings.min_data_in_leaf:,} need twice as many: lower it under "
            "[ranker], or move ranker_end later"
        )
        yield Shortage(RANKER, SMALL, 1, told)
