import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import text_cross_ranker
from ranker_table import BEHAVIOUR, PARTS
from text_cross_ranker import WITH_CROSS, WITH_MATCH, Teacher, compare
from text_profiles import World, open_world

from recsys.workspace import CACHE, Workspace

CANDIDATES = 4
ASKED = argparse.Namespace(
    slates=4,
    ranker=50,
    validation=8,
    test=12,
    candidates=CANDIDATES,
    newest=2,
    layers=1,
    ranker_seeds=1,
    seed=0,
)


@pytest.fixture
def world(tiny_workspace: Workspace) -> World:
    return open_world(tiny_workspace, 0)


def test_only_the_first_candidates_of_users_with_a_history_have_a_score(world: World) -> None:
    titles = [f"item {place}" for place in range(len(world.log.catalogue))]
    rows = {part: world.rows[part].only(world.rows[part].slates.rows.request < 9) for part in PARTS}
    scores = Teacher(world, titles, ASKED).scores(rows)
    for part, each in rows.items():
        slates = each.slates
        some = slates.history.item[:, 0] >= 0
        assert some.any()
        for request, (low, high) in enumerate(
            zip(slates.rows.offsets[:-1], slates.rows.offsets[1:], strict=True)
        ):
            scored = np.flatnonzero(~np.isnan(scores[part][low:high]))
            assert len(scored) == (min(CANDIDATES, high - low) if some[request] else 0)
            first = np.argsort(-each.match[low:high], kind="stable")[: len(scored)]
            assert set(scored) == set(first)


def test_scores_are_kept_and_rankers_are_compared_on_the_same_requests(
    tiny_workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compare(tiny_workspace, ASKED)
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(list(Path(tiny_workspace.root / CACHE / "cross_encoder").iterdir())) == len(PARTS)
    monkeypatch.setattr(text_cross_ranker, "train_cross", None)
    compare(tiny_workspace, ASKED)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == first
    assert first["requests"] == {part: getattr(ASKED, part) for part in PARTS}
    behaviour, match, cross = (
        first["tables"]["over_behaviour"][name] for name in (BEHAVIOUR, WITH_MATCH, WITH_CROSS)
    )
    assert behaviour[2][0] == 0
    gain = first["tables"]["over_the_match"][WITH_CROSS][2][0]
    assert gain == pytest.approx(cross[0][0] - match[0][0])
