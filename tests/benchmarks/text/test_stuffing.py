"""How much a stuffed title moves an item, and what the template's limits leave of it."""

import numpy as np
import pytest

from benchmarks.text import stuffing
from benchmarks.text.stuffing import NONE, Stage, open_stage, places
from recsys.text.interest import Past
from recsys.text.settings import TextLimits
from recsys.workspace.workspace import Workspace

SLATES = 14
LIMITS = TextLimits(title_words=12)
BEST, CHANT = "the twelve words that raise it most", "one common word 60 times"
ALL = "sixty common words"


@pytest.fixture(scope="module")
def stage(trained_workspace: Workspace) -> Stage:
    return open_stage(trained_workspace)


@pytest.fixture(scope="module")
def added(stage: Stage) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stuffing, "_SPIED", 4)
        return stuffing.stuffings(stage, NONE)


@pytest.fixture(scope="module")
def found(stage: Stage, added: dict[str, str]) -> dict[str, dict[str, float]]:
    """Mean places, 0 at the top, without limits and with them."""
    return {
        name: {
            how: float(np.mean(where))
            for how, where in places(stage, added, limits, SLATES).items()
        }
        for name, limits in (("without", NONE), ("with", LIMITS))
    }


def test_a_title_that_is_not_stuffed_stays_where_it_is(
    stage: Stage, found: dict[str, dict[str, float]]
) -> None:
    assert found["with"]["nothing"] == pytest.approx(found["without"]["nothing"], abs=0.02)
    request, row = stage.victims(1, seed=0)[0]
    low = int(stage.slates.rows.offsets[request])
    others, match = stage.matches(request, row, [stage.title(row)], NONE)
    span = slice(low, int(stage.slates.rows.offsets[request + 1]))
    expected = stage.signals.read(
        stage.slates.rows.item[span],
        stage.slates.text[span],
        {},
        Past(stage.slates.history.of(request), stage.slates.texts_before(request)),
        int(stage.slates.rows.request_time[request]),
        None,
    )
    assert match[0] == pytest.approx(expected[row - low], abs=1e-3)
    np.testing.assert_allclose(others, np.delete(expected, row - low), atol=1e-5)


def test_whoever_knows_the_model_gains_and_the_limits_take_some_of_it_back(
    found: dict[str, dict[str, float]],
) -> None:
    without = found["without"]["nothing"] - found["without"][BEST]
    limited = found["with"]["nothing"] - found["with"][BEST]
    assert without > 0.03
    assert limited < 0.8 * without


def test_beyond_the_limits_more_words_move_nothing(stage: Stage, added: dict[str, str]) -> None:
    request, row = stage.victims(1, seed=2)[0]
    title = stage.title(row)
    words = added[ALL].split()
    longer = [f"{title} {' '.join(words[:count])}" for count in (20, 40, 60)]
    _, limited = stage.matches(request, row, longer, LIMITS)
    assert limited[0] == pytest.approx(limited[1], abs=1e-5)
    assert limited[0] == pytest.approx(limited[2], abs=1e-5)
    chants = [f"{title} {added[CHANT][: count * (len(words[0]) + 1)]}" for count in (5, 20, 60)]
    _, chanted = stage.matches(request, row, chants, LIMITS)
    assert np.ptp(chanted) < 1e-5
    _, free = stage.matches(request, row, longer, NONE)
    assert np.ptp(free) > 1e-3
