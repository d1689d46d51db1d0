"""The batch's state on its way over the disk."""

import tempfile
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from scipy import sparse

from data_contracts.errors import BundleError
from features.arrays.clock import DAY
from features.batch.state_files import FORMAT, STATE_FILE, load_state, save_state, state_inputs
from features.defaults import default_features
from features.feature_set import FeatureSet
from tests.features.worlds import FEATURES, KINDS, SETTINGS, SHOP, World, worlds


def _assert_same(one: object, other: object, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        assert one.dtype == other.dtype, path
        np.testing.assert_array_equal(one, other, path)
    elif isinstance(one, sparse.csr_array) and isinstance(other, sparse.csr_array):
        for part in ("data", "indices", "indptr"):
            _assert_same(getattr(one, part), getattr(other, part), f"{path}.{part}")
    elif isinstance(one, dict) and isinstance(other, dict):
        assert list(one) == list(other), path
        for key, value in one.items():
            _assert_same(value, other[key], f"{path}[{key}]")
    elif is_dataclass(one):
        for name in (field.name for field in fields(one) if not field.name.startswith("_")):
            _assert_same(getattr(one, name), getattr(other, name), f"{path}.{name}")
    elif callable(one) and callable(other):
        _assert_same(one(), other(), f"{path}()")
    else:
        assert one == other, path


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds())
def test_a_state_comes_back_from_disk_as_it_was(world: World) -> None:
    with tempfile.TemporaryDirectory() as name:
        log, state, _ = world.backfill(Path(name) / "rows")
        save_state(state, log.catalogue, log.user_ids, Path(name) / "state")
        loaded, catalogue, users = load_state(Path(name) / "state", FEATURES)
    _assert_same(state, loaded)
    _assert_same(log.catalogue.since_moment(log.end_day * DAY - log.window), catalogue)
    assert users == log.user_ids.to_list()


def test_a_loaded_state_goes_on_as_the_one_that_was_saved(tmp_path: Path) -> None:
    log, state, _ = SHOP.backfill(tmp_path / "rows")
    save_state(state, log.catalogue, log.user_ids, tmp_path / "state")
    loaded, catalogue, _ = load_state(tmp_path / "state", FEATURES)
    events = log.interactions.between(0, 0)
    for each in (state, loaded):
        for _ in range(9):
            each.advance(each.day_events(catalogue, events, events), events)
    _assert_same(state, loaded)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log, state, _ = SHOP.backfill(tmp_path / "rows")
    save_state(state, log.catalogue, log.user_ids, tmp_path / "state")
    return tmp_path / "state"


@pytest.mark.parametrize("content", [None, b"", b"\0 not a file"])
def test_a_missing_or_damaged_file_is_named(folder: Path, content: bytes | None) -> None:
    (folder / STATE_FILE).unlink()
    if content is not None:
        (folder / STATE_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=STATE_FILE):
        load_state(folder, FEATURES)


@pytest.mark.parametrize(
    "array",
    [
        "counters/item.click/totals",
        "counters/item.click/tiles/codes",
        "recent/user",
        "snapshot/repeat_rate",
        "catalogue/log_price",
        "catalogue/items",
        "catalogue/known",
        "users",
        "catalogue/values/category",
    ],
)
@pytest.mark.parametrize("gone", [True, False])
def test_an_array_missing_or_cut_short_is_named(folder: Path, array: str, gone: bool) -> None:
    head, arrays = _read(folder)
    cut = arrays.pop(array)[:-1]
    FORMAT.write(folder / STATE_FILE, arrays if gone else {**arrays, array: cut}, head)
    with pytest.raises(BundleError, match=array):
        load_state(folder, FEATURES)


def test_each_part_of_the_head_is_missed(folder: Path) -> None:
    head, arrays = _read(folder)
    for name in head.keys() - {"inputs", "format"}:
        fewer = {key: value for key, value in head.items() if key != name}
        FORMAT.write(folder / STATE_FILE, arrays, fewer)
        with pytest.raises(BundleError, match=name):
            load_state(folder, FEATURES)


def test_a_state_of_another_format_is_refused(folder: Path) -> None:
    head, arrays = _read(folder)
    replace(FORMAT, version=1).write(folder / STATE_FILE, arrays, head)
    with pytest.raises(BundleError, match=r"a feature state, format 1.*recsys train"):
        load_state(folder, FEATURES)
    assert state_inputs(folder) is None


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with FORMAT.reading(folder / STATE_FILE) as file:
        return dict(file.head), file.part("")


def test_a_state_of_other_windows_or_kinds_is_refused(folder: Path) -> None:
    other_windows = SETTINGS.model_copy(update={"windows_days": (1, 14)})
    with pytest.raises(BundleError, match=r"item\.click.*14"):
        load_state(folder, default_features(other_windows, KINDS, logged=True))
    with pytest.raises(BundleError, match=r"no such counter for item\.buy"):
        load_state(folder, default_features(SETTINGS, ("buy",), logged=False))


def test_fewer_features_than_the_state_was_kept_for_are_fine(folder: Path) -> None:
    state, _, _ = load_state(folder, FeatureSet(FEATURES.features[:1]))
    assert len(state.counters) == len(FEATURES.counters)


def test_users_and_items_of_any_spelling_survive(tmp_path: Path) -> None:
    log, state, _ = SHOP.backfill(tmp_path / "rows")
    users = pl.Series(["", "ü 1", "\U0001f600", "1"])
    save_state(state, log.catalogue, users, tmp_path / "state")
    assert load_state(tmp_path / "state", FEATURES)[2] == users.to_list()
