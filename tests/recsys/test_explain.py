import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import UsageError
from data_contracts.slates import Slate
from recsys.bundle.bundle import Bundle
from recsys.explain import STRONGEST, explain
from recsys.rank import rank
from recsys.text.attribution import STEPS
from recsys.workspace.workspace import Workspace
from tests.recsys.commands.test_app import Command, recsys
from tests.recsys.test_rank import user

__all__ = ["recsys", "user"]


@pytest.fixture(scope="module")
def item(tiny_bundle: Bundle) -> str:
    return str(tiny_bundle.known_items[7])


@pytest.mark.parametrize("query", [None, "warm wool scarf"])
@pytest.mark.parametrize("known", [True, False])
def test_both_ways_add_up_to_the_match_that_is_served(
    trained_workspace: Workspace,
    tiny_bundle: Bundle,
    tiny_bundle_folder: Path,
    item: str,
    user: str,
    known: bool,
    query: str | None,
) -> None:
    who = user if known else None
    found = explain(trained_workspace, tiny_bundle_folder, item, who, query)
    past = sum(each.share for each in found.past) + found.other_past
    assert found.default + found.asked + past == pytest.approx(found.match, abs=1e-4)
    words = sum(each.share for each in found.words)
    assert found.blank + words + found.error == pytest.approx(found.match, abs=1e-6)
    span = sum(abs(each.share) for each in found.words)
    assert abs(found.error) < 0.02 * span + 1e-6, f"after {STEPS} steps"
    assert span > 0.01 or not (known or query)
    assert "".join(each.word for each in found.words) == found.text.replace(" ", "")
    assert not found.changed
    assert (found.past != ()) == known
    assert len(found.past) <= STRONGEST
    if query is None:
        slate = Slate("r", [item], found.as_of, user_id=who)
        ranked = rank(tiny_bundle, slate, {}, explain=1)
        assert ranked.interest_match is not None
        assert ranked.history_shares is not None
        assert found.match == pytest.approx(float(ranked.interest_match[0]), abs=1e-3)
        assert ranked.history_shares[0] == pytest.approx(
            {each.item_id: each.share for each in found.past}, abs=1e-3
        )


def test_a_text_that_changed_since_is_told(tiny_workspace: Workspace, item: str) -> None:
    table = tiny_workspace.root / "items.parquet"
    items = pl.read_parquet(table)
    title = pl.when(pl.col("item_id") == item).then(pl.lit("quite another thing"))
    items.with_columns(title.otherwise(pl.col("title")).alias("title")).write_parquet(table)
    found = explain(tiny_workspace, tiny_workspace.root / "bundles" / "current", item)
    assert found.changed
    assert found.words[0].word == "quite"


def test_the_command_prints_tables_and_json(
    recsys: Command, trained_workspace: Workspace, item: str, user: str
) -> None:
    code, said = recsys("explain", trained_workspace.root, "--item", item, "--user", user)
    assert code == 0, said
    assert "The words that mattered" in said
    assert f"item {item} for user {user}" in said
    code, said = recsys("explain", trained_workspace.root, "--item", item, "--json")
    assert code == 0, said
    told = json.loads(said)
    assert told["item_id"] == item
    assert told["user_id"] is None
    assert np.isfinite([word["share"] for word in told["words"]]).all()


def test_who_and_what_is_not_there_is_refused(
    trained_workspace: Workspace, tiny_bundle_folder: Path, item: str
) -> None:
    with pytest.raises(UsageError, match="no item nothing"):
        explain(trained_workspace, tiny_bundle_folder, "nothing")
    with pytest.raises(UsageError, match="no user nobody"):
        explain(trained_workspace, tiny_bundle_folder, item, "nobody")
