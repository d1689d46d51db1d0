"""Every feature of every row against a plain computation over lists."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings

from data_contracts.events import Impressions
from features.kinds.base import Feature
from features.kinds.counts import WindowCount
from features.kinds.slate import SlateDifference, SlatePercentile, SlateRank
from tests.features.oracle import Oracle
from tests.features.worlds import FEATURES, SETTINGS, Request, World, worlds


def _rows(world: World) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        return world.backfill(Path(folder) / "rows")[2]


def _expected(oracle: Oracle, request: Request, feature: Feature) -> list[float]:
    if isinstance(feature, SlateRank | SlatePercentile | SlateDifference):
        ranked = next(other for other in FEATURES.features if other.name == feature.of)
        values = _expected(oracle, request, ranked)
        return [oracle.among(feature, values, place) for place in range(len(values))]
    return [oracle.value(feature, request, item) for item in request.items]


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds())
def test_every_feature_equals_its_plain_computation(world: World) -> None:
    rows = _rows(world)
    oracle = Oracle(world, SETTINGS)
    for request in world.requests:
        mine = rows.filter(Impressions.request_id.col == request.request_id)
        assert tuple(mine[Impressions.item_id.name]) == request.items
        for feature in FEATURES.features:
            expected = np.array(_expected(oracle, request, feature), np.float32)
            found = mine[feature.name].to_numpy()
            if isinstance(feature, WindowCount):
                np.testing.assert_array_equal(found, expected, feature.name)
            else:
                np.testing.assert_allclose(found, expected, 1e-5, 1e-6, err_msg=feature.name)
