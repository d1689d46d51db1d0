"""Items that arrive after the bundle was made."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from data_contracts.items import Items
from data_contracts.slates import RankedSlate, Slate
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.rank import rank, texts_to_encode
from recsys.workspace.workspace import Workspace

NEW = "brand new"
Records = Callable[..., pl.DataFrame]


@pytest.fixture
def bundle(tiny_bundle: Bundle) -> Bundle:
    """A bundle of its own, since items are added to it."""
    return load_bundle(tiny_bundle.folder)


@pytest.fixture
def twin(bundle: Bundle) -> str:
    """An item that is known at the cut-off and has a text."""
    return next(item for item in bundle.item_ids if bundle.has_text(item))


@pytest.fixture
def record(trained_workspace: Workspace, twin: str, bundle: Bundle) -> Records:
    """Makes a record of a new item that is as the twin was, but for some columns."""
    items = trained_workspace.scan("items").filter(Items.item_id.col == twin).collect()
    started = Items.updated_at.col.is_null() | (Items.updated_at.col < bundle.as_of)
    last = items.filter(started)[-1:]

    def make(moment: datetime, **columns: object) -> pl.DataFrame:
        values = {"item_id": NEW, "updated_at": moment, "ingested_at": None, **columns}
        return last.with_columns(
            pl.lit(value, items.schema[name]).alias(name) for name, value in values.items()
        )

    return make


def ranked(bundle: Bundle, moment: datetime, *items: str) -> RankedSlate:
    return rank(bundle, Slate("r", items, moment, user_id=bundle.user_ids[0]), {})


def match_of(found: RankedSlate, item: str) -> float:
    assert found.interest_match is not None
    return float(found.interest_match[list(found.item_ids).index(item)])


def test_an_item_of_a_known_text_is_matched_once_it_is_known(
    bundle: Bundle, record: Records, twin: str
) -> None:
    later = bundle.as_of + timedelta(minutes=30)
    assert bundle.add_items(record(later)) == {}
    before = ranked(bundle, later - timedelta(microseconds=1), NEW, twin)
    assert list(before.unknown_items) == [NEW]
    assert np.isnan(match_of(before, NEW))
    found = ranked(bundle, later, NEW, twin)
    assert list(found.unknown_items) == []
    assert match_of(found, NEW) == pytest.approx(match_of(found, twin), abs=1e-6)


def test_a_new_text_is_matched_once_it_has_a_vector(bundle: Bundle, record: Records) -> None:
    later = bundle.as_of + timedelta(minutes=30)
    missing = bundle.add_items(record(later, title="a lamp of pure moonlight"))
    ((key, text),) = missing.items()
    assert "a lamp of pure moonlight" in text
    assert np.isnan(match_of(ranked(bundle, later, NEW), NEW))
    inline = Slate("r", [NEW], later, texts=[text])
    assert texts_to_encode(bundle, inline) == [text]
    vector = np.ones(bundle.signals.interest.dim, np.float32)
    bundle.signals.learn({key: vector / np.linalg.norm(vector)})
    assert np.isfinite(match_of(ranked(bundle, later, NEW), NEW))
    assert texts_to_encode(bundle, inline) == []


def test_a_deleted_item_is_unknown_until_it_comes_back(bundle: Bundle, record: Records) -> None:
    first, gone, back = (bundle.as_of + timedelta(minutes=n) for n in (10, 20, 30))
    bundle.add_items(record(first))
    bundle.add_items(record(gone, deleted=True))
    bundle.add_items(record(back))
    for moment, unknown in ((first, []), (gone, [NEW]), (back, [])):
        assert list(ranked(bundle, moment, NEW).unknown_items) == unknown


def test_a_value_that_training_has_not_seen_is_missing_to_the_ranker_and_counted(
    coded_workspace: Workspace, record: Records, twin: str
) -> None:
    bundle = load_bundle(coded_workspace.bundle())
    later = bundle.as_of + timedelta(minutes=30)
    bundle.add_items(record(later, category="a category nobody has"))
    found = ranked(bundle, later, NEW, twin)
    assert found.unseen_values == 1
    column = bundle.features.features.names.index("item_category_code")
    assert found.features is not None
    place = list(found.item_ids).index(NEW)
    assert found.features[place, column] >= len(bundle.learned["category"])
