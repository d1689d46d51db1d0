from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from features.batch.state_files import load_state, save_state
from features.online.events import ShownItems
from features.online.executor import OnlineFeatures
from tests.features.online.replay import incoming
from tests.features.worlds import FEATURES, SETTINGS, SHOP, items_table


@pytest.fixture
def online(tmp_path: Path) -> OnlineFeatures:
    log, state, _ = SHOP.backfill(tmp_path)
    save_state(state, log.catalogue, log.user_ids, tmp_path / "state")
    loaded, catalogue, users = load_state(tmp_path / "state", FEATURES)
    return OnlineFeatures.hydrate(loaded, catalogue, users, FEATURES, SETTINGS)


def read(online: OnlineFeatures) -> np.ndarray:
    matrix, _ = online.read(online.rows(["i0", "i1"], "u0", online.clock, {}))
    return matrix


def test_the_first_thread_that_reads_owns_the_state_until_it_hands_over(
    online: OnlineFeatures,
) -> None:
    with ThreadPoolExecutor(1, "another") as other:
        expected = other.submit(read, online).result()
        with pytest.raises(RuntimeError, match="thread another"):
            read(online)
        other.submit(online.hand_over).result()
        np.testing.assert_array_equal(read(online), expected)
        with pytest.raises(RuntimeError, match="MainThread"):
            other.submit(read, online).result()
        with pytest.raises(RuntimeError, match="MainThread"):
            other.submit(online.hand_over).result()


def test_no_call_of_another_thread_reaches_the_state(
    online: OnlineFeatures, tmp_path: Path
) -> None:
    clock = online.clock
    rows = online.rows(["i0"], "u0", clock, {})
    calls = (
        lambda: online.fold(incoming([])),
        lambda: online.mark_seen(incoming([])),
        lambda: online.fold_shown(ShownItems("r", ["i0"], "u0", None, clock)),
        lambda: online.fold_items(items_table().collect()),
        lambda: online.catalogue,
        lambda: online.advance(clock + 1),
        lambda: online.rows(["i0"], "u0", clock, {}),
        lambda: online.read(rows),
        lambda: online.save(tmp_path / "saved"),
        lambda: online.clock,
        lambda: online.counts,
        lambda: online.users,
    )
    with ThreadPoolExecutor(1) as other:
        for call in calls:
            with pytest.raises(RuntimeError, match="one thread"):
                other.submit(call).result()
    assert online.clock == clock
