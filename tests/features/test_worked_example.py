"""The worked example of docs/features.md, computed by both executors."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.counter_spec import EVER
from features.feature_set import FeatureSet
from features.kinds.counts import Recency, WindowCount
from features.online.executor import OnlineFeatures
from tests.features.online.replay import incoming
from tests.features.worlds import KINDS, SETTINGS, Event, Request, World

PAGE = Path("docs/features.md")
FEATURES = FeatureSet(
    (
        *(WindowCount(("item",), "purchase", days) for days in (1, 7, 30, EVER)),
        Recency(("item",), "purchase"),
    )
)
_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d)"


def microseconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def world() -> World:
    events = []
    for name, time, ingested in re.findall(
        rf"^\| (\w) \| {_TIME} \| (at once|{_TIME[1:-1]}) \|$", PAGE.read_text(), re.M
    ):
        late = 0 if ingested == "at once" else microseconds(ingested) - microseconds(time)
        events.append(Event(name, "purchase", "u0", "i0", None, microseconds(time), late))
    requests = [Request(time, "u1", microseconds(time), ("i0",)) for time in expected()]
    return World(events, requests)


def expected() -> dict[str, list[float]]:
    """Give the values of the page by the time of the request."""
    rows = re.findall(rf"^\| {_TIME} \| (\d.*) \|$", PAGE.read_text(), re.M)
    return {time: [float(cell) for cell in cells.split(" | ")] for time, cells in rows}


def test_the_page_names_the_columns_in_the_order_of_the_test() -> None:
    assert f"| request at | {' | '.join(FEATURES.names)} |" in PAGE.read_text()
    assert len(world().events) == 8
    assert len(expected()) == 2


def test_the_batch_executor_gives_the_values_of_the_page(tmp_path: Path) -> None:
    rows = world().backfill(tmp_path, features=FEATURES)[2]
    for time, values in expected().items():
        found = rows.filter(rows["request_id"] == time).select(FEATURES.names).row(0)
        assert found == pytest.approx(values, abs=5e-5)


def test_the_online_executor_gives_them_too(tmp_path: Path) -> None:
    log = world().open(tmp_path)
    first = min(event.time for event in world().events) // 86_400_000_000
    items = log.catalogue.since_moment(0)
    online = OnlineFeatures.empty(items, FEATURES, SETTINGS, KINDS, first, log.window)
    online.fold(incoming(world().events))
    for time, values in expected().items():
        rows = online.rows(("i0",), "u1", microseconds(time), {"score": np.zeros(1, np.float32)})
        matrix, _ = online.read(rows)
        assert matrix[0].tolist() == pytest.approx(values, abs=5e-5)
