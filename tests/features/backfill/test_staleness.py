"""What a second backfill finds stale, and that it ends with the bytes of one from nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.items import Items
from features.arrays.clock import DAY
from features.backfill import run as backfill_module
from features.backfill.days import ROWS
from features.backfill.rows import feature_columns
from features.backfill.run import STATE, BackfillReport, Scope, backfill
from features.batch.state_files import load_state
from features.feature_set import FeatureSet
from features.kinds.counts import WindowCount
from features.settings import FeatureSettings
from tests.features import worlds
from tests.features.backfill.test_run import assert_same_files
from tests.features.worlds import (
    BY_DAY,
    FEATURES,
    FIRST,
    SETTINGS,
    SHOP,
    Event,
    Record,
    World,
    items_table,
)

FIRST_DAY = FIRST // DAY
FEW = FeatureSet(FEATURES.features[:6])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_module, "BLOCK_ROWS", 7)


def _run(
    folder: Path,
    world: World = SHOP,
    features: FeatureSet = FEATURES,
    settings: FeatureSettings = SETTINGS,
    scope: Scope | None = None,
) -> tuple[BackfillReport, Sequence[str]]:
    told: list[str] = []
    log = world.open(folder, settings)
    return backfill(log, features, settings, folder, scope, tell=told.append), told


def _is_as_from_nothing(folder: Path, world: World = SHOP, features: FeatureSet = FEATURES) -> None:
    fresh = folder.parent / "fresh"
    _run(fresh, world, features)
    assert_same_files(fresh, folder)


def test_nothing_new_computes_nothing(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    report, told = _run(tmp_path / "f")
    assert (report.days, report.rows, told) == (0, 0, [])
    _is_as_from_nothing(tmp_path / "f")


def test_a_new_column_is_set_beside_the_others(tmp_path: Path) -> None:
    _run(tmp_path / "f", features=FEW)
    report, told = _run(tmp_path / "f")
    new = FEATURES.names[6:]
    assert told == [f"{len(new)} columns new, in {len(BY_DAY)} days: {', '.join(new)}"]
    assert report.days == len(BY_DAY)
    _is_as_from_nothing(tmp_path / "f")


def test_a_column_no_longer_asked_for_goes(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    _, told = _run(tmp_path / "f", features=FEW)
    assert len(told) == 1
    assert told[0].startswith(f"{len(FEATURES.names) - 6} columns no longer asked for")
    _is_as_from_nothing(tmp_path / "f", features=FEW)


def test_only_the_columns_asked_for_are_computed(tmp_path: Path) -> None:
    report, _ = _run(tmp_path / "f", scope=Scope(columns=FEW.names))
    assert report.days == len(BY_DAY)
    assert feature_columns(tmp_path / "f" / ROWS)[1] == FEW.names
    _run(tmp_path / "f")
    _is_as_from_nothing(tmp_path / "f")


def test_a_changed_window_is_a_changed_counter(tmp_path: Path) -> None:
    more = FeatureSet((*FEW.features, WindowCount(("item",), "click", 5)))
    _run(tmp_path / "f", features=FEW)
    _, told = _run(tmp_path / "f", features=more)
    assert told == [f"1 column new, in {len(BY_DAY)} days: item_click_5d"]
    _is_as_from_nothing(tmp_path / "f", features=more)


@pytest.mark.parametrize("late", [0, 5 * DAY])
def test_an_event_redoes_the_days_from_its_arrival_on(tmp_path: Path, late: int) -> None:
    _run(tmp_path / "f")
    happened = FIRST + 4 * DAY + 1
    world = SHOP.with_more([Event("new", "click", "u0", "i1", None, happened, late)])
    report, told = _run(tmp_path / "f", world)
    arrives = 4 + late // DAY
    assert report.days == sum(day >= arrives for day in BY_DAY)
    assert len(told) == 1
    assert f"other events became known on 2024-{'02-29' if not late else '03-05'}" in told[0]
    _is_as_from_nothing(tmp_path / "f", world)


@pytest.mark.parametrize(
    "record",
    [
        Record("i1", "b", 7.0, updated=FIRST + 4 * DAY),
        Record("new", "d", 7.0, updated=FIRST + 2 * DAY, late=2 * DAY),
        Record("i4", deleted=True, updated=FIRST + 4 * DAY),
    ],
)
def test_a_version_of_an_item_redoes_the_days_from_when_it_is_known_on(
    tmp_path: Path, record: Record
) -> None:
    _run(tmp_path / "f")
    world = SHOP.with_more([], records=[record])
    report, told = _run(tmp_path / "f", world)
    assert report.days == sum(day >= 4 for day in BY_DAY)
    assert len(told) == 1
    assert "whose known events or items changed" in told[0]
    _is_as_from_nothing(tmp_path / "f", world)


def test_a_version_that_is_known_after_the_log_redoes_nothing(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    later = Record("i1", "b", 7.0, updated=FIRST + 400 * DAY)
    report, told = _run(tmp_path / "f", SHOP.with_more([], records=[later]))
    assert (report.days, told) == (0, [])
    catalogue = load_state(tmp_path / "f" / STATE, FEATURES)[1]
    assert catalogue.versions(np.array([1]), np.array([FIRST + 401 * DAY])) >= 0


def test_what_no_feature_reads_of_an_item_redoes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path / "f")
    titled = items_table().with_columns(pl.lit("another title").alias(Items.title.name))
    monkeypatch.setattr(worlds, "items_table", lambda _: titled)
    assert _run(tmp_path / "f")[1] == []


def test_the_order_of_the_rows_of_the_items_is_nothing(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    turned = replace(SHOP, records=SHOP.records[::-1])
    assert _run(tmp_path / "f", turned)[1] == []


def test_a_log_that_grows_leaves_what_is_there(tmp_path: Path) -> None:
    young = World(
        [event for event in SHOP.events if event.time < FIRST + 9 * DAY],
        [request for request in SHOP.requests if request.time < FIRST + 9 * DAY],
    )
    _run(tmp_path / "f", young)
    report, told = _run(tmp_path / "f")
    assert told == ["2 days not computed yet"]
    assert report.days == 2
    _is_as_from_nothing(tmp_path / "f")


def test_other_settings_redo_everything(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    _, told = _run(tmp_path / "f", settings=SETTINGS.model_copy(update={"history": 3}))
    assert told == [
        f"{len(BY_DAY)} days computed from other settings of the features, or other items"
    ]


def test_days_that_are_gone_lose_their_file(tmp_path: Path) -> None:
    _run(tmp_path / "f")
    world = replace(SHOP, requests=[r for r in SHOP.requests if r.time < FIRST + 40 * DAY])
    _run(tmp_path / "f", world)
    _is_as_from_nothing(tmp_path / "f", world)


@pytest.mark.parametrize("days", [1, 5, 9])
def test_a_log_that_loses_its_first_days_forgets_them(tmp_path: Path, days: int) -> None:
    _run(tmp_path / "f")
    start = FIRST + days * DAY
    world = World(
        [event for event in SHOP.events if event.time >= start],
        [request for request in SHOP.requests if request.time >= start],
    )
    _run(tmp_path / "f", world)
    _is_as_from_nothing(tmp_path / "f", world)


def test_some_days_are_computed_from_the_same_past(tmp_path: Path) -> None:
    days = Scope(first_day=FIRST_DAY + 1, end_day=FIRST_DAY + 9)
    report, _ = _run(tmp_path / "f", scope=days)
    assert report.days == 2
    _run(tmp_path / "f")
    _is_as_from_nothing(tmp_path / "f")
