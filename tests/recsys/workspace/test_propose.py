"""Proposed features follow the data, and say why."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.items import Items
from features.kinds.base import Feature
from features.kinds.co_visitation import CoVisitation
from features.kinds.counts import Rate, WindowCount, WindowSum
from features.kinds.item import Age, AttributeNumber, Price
from recsys.commands.console import Terminal
from recsys.labels.split import SplitSettings
from recsys.workspace.config import (
    CONFIG_NAME,
    TableSettings,
    WorkspaceConfig,
    read_config,
    write_config,
)
from recsys.workspace.facts import STRAYS, ColumnFacts, WorkspaceFacts, read_facts
from recsys.workspace.feature_sets import features_of
from recsys.workspace.propose import Proposal, propose, render_proposal
from recsys.workspace.workspace import Workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def config(days: int = 200, slate_source: str = "logged") -> WorkspaceConfig:
    split = SplitSettings(
        text_end=START + days * DAY,
        ranker_end=START + (days + 1) * DAY,
        validation_end=START + (days + 2) * DAY,
    )
    return WorkspaceConfig.model_validate(
        {
            "name": "shop",
            "data_origin": "real",
            "slate_source": slate_source,
            "attributes": {"brand": "text", "weight": "number"},
            "split": split.model_dump(),
        }
    )


def column(coverage: float = 1.0, distinct: int = 10, numeric: bool = False) -> ColumnFacts:
    return ColumnFacts(coverage, [f"v{n}" for n in range(min(distinct, 100))], distinct, numeric)


FACTS = WorkspaceFacts(
    kinds={"click": 9000, "cart": 3000, "purchase": 1000},
    first=START,
    last=START + 300 * DAY,
    items=500,
    with_user=0.9,
    with_value=0.8,
    repeats=0.2,
    session_items=3.0,
    of_the_day=0.9,
    columns={
        "category": column(),
        "tags": column(0.0, 0),
        "price": column(numeric=True),
        "listed_at": column(),
        "brand": column(distinct=50),
        "weight": column(numeric=True),
        "price_band": column(distinct=6),
    },
    context={"score": column(numeric=True), "page": column(distinct=1)},
)


def columns(
    facts: WorkspaceFacts = FACTS, settings: WorkspaceConfig | None = None
) -> Sequence[Feature]:
    return propose(facts, settings or config()).settings.columns or ()


def names(facts: WorkspaceFacts = FACTS, settings: WorkspaceConfig | None = None) -> list[str]:
    return [feature.name for feature in columns(facts, settings)]


def of_items(name: str, facts: ColumnFacts) -> WorkspaceFacts:
    return replace(FACTS, columns={**FACTS.columns, name: facts})


def of_context(key: str, facts: ColumnFacts) -> WorkspaceFacts:
    return replace(FACTS, context={**FACTS.context, key: facts})


def left_out(proposal: Proposal, title: str) -> str:
    out = [group for group in proposal.groups if not group.columns]
    return next(group.why for group in out if group.title.startswith(title))


def test_a_rich_shop_gets_the_kinds_its_data_feed() -> None:
    found = columns()
    assert 40 <= len(found) <= 75
    kinds = {type(feature) for feature in found}
    assert {WindowSum, Rate, AttributeNumber, Age, Price, CoVisitation} <= kinds
    assert {"given_score", "item_weight_number", "item_cart_30d", "user_purchase_value_90d"} <= set(
        names()
    )


def test_every_group_says_why() -> None:
    for group in propose(FACTS, config()).groups:
        assert group.title
        assert len(group.why) > 10


@pytest.mark.parametrize(
    ("facts", "title", "why"),
    [
        (of_items("brand", column(0.1)), "brand", "10% of items"),
        (of_items("brand", column(distinct=1)), "brand", "nothing to tell apart"),
        (of_items("brand", column(distinct=499)), "brand", "as good as its identifier"),
        (of_items("price", column(0.0, 0, True)), "price", "0% of items have a price"),
        (of_items("weight", column(distinct=1, numeric=True)), "weight", "1 different"),
        (replace(FACTS, with_value=0.1), "what the user spends", "10% of purchase events"),
        (replace(FACTS, repeats=0.001), "coming back", "0.1% of pairs"),
        (replace(FACTS, session_items=1.0), "co-visitation by session", "too few to meet"),
        (replace(FACTS, with_user=0.01), "the user and this item", "only 1.0%"),
        (replace(FACTS, kinds={**FACTS.kinds, "cart": 9}), "cart", "fewer than one an item"),
        (FACTS, "`page`", "too little to learn from"),
        (of_context("a\nb", column()), "`a\nb`", "signs that cannot be seen"),
        (of_context("", column(numeric=True)), "``", "takes 0 bytes"),
    ],
)
def test_what_the_data_do_not_feed_is_left_out_with_the_reason(
    facts: WorkspaceFacts, title: str, why: str
) -> None:
    assert why in left_out(propose(facts, config()), title)


def test_sampled_slates_are_not_counted() -> None:
    settings = config(slate_source="sampled")
    assert "how they were sampled" in left_out(propose(FACTS, settings), "what was shown")
    assert not any("impression" in name for name in names(FACTS, settings))


def test_windows_fit_the_log_before_the_ranker() -> None:
    def windows(days: int) -> set[int]:
        found = columns(FACTS, config(days))
        return {f.days for f in found if isinstance(f, WindowCount) and f.key == ("item",)}

    assert windows(200) == {1, 7, 30, 90}
    assert windows(20) == {1, 7, 30}
    assert windows(2) == {1}


def test_without_users_nothing_asks_for_one() -> None:
    for feature in columns(replace(FACTS, with_user=0.0)):
        assert not any("user" in spec.key for spec in feature.needs()), feature


def test_all_proposals_are_valid_and_are_written_as_they_are(tmp_path: Path) -> None:
    for facts in (FACTS, replace(FACTS, with_user=0.0), replace(FACTS, session_items=0.0)):
        for source in ("logged", "sampled"):
            before = config(slate_source=source)
            proposal = propose(facts, before)
            after = before.model_copy(update={"features": proposal.settings})
            write_config(after, tmp_path / CONFIG_NAME)
            again = read_config(tmp_path / CONFIG_NAME)
            assert again == after
            assert features_of(again).features == proposal.settings.columns
            text = (tmp_path / CONFIG_NAME).read_text(encoding="utf-8")
            assert "\n".join(proposal.toml().splitlines()[:3]) in text


def test_a_few_wrong_dates_propose_nothing_else(tiny_workspace: Workspace) -> None:
    before = read_facts(tiny_workspace)
    taken = tiny_workspace.scan("interactions").collect()
    odd = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)]
    wrong = taken.head(2).with_columns(pl.Series("timestamp", odd, taken.schema["timestamp"]))
    pl.concat([taken, wrong]).write_parquet(tiny_workspace.location("interactions"))
    after = read_facts(tiny_workspace)
    assert abs(after.first - before.first) < DAY
    assert abs(after.last - before.last) < DAY
    proposals = [propose(facts, tiny_workspace.config) for facts in (before, after)]
    assert proposals[0].settings == proposals[1].settings


def test_the_tables_of_a_workspace_are_looked_at(trained_workspace: Workspace) -> None:
    facts = read_facts(trained_workspace)
    taken = trained_workspace.scan("interactions").collect()
    assert facts.kinds == {
        kind: taken.filter(taken["kind"] == kind).height for kind in ("click", "cart", "purchase")
    }
    times = taken["timestamp"].sort()
    strays = math.ceil((taken.height - 1) * STRAYS)
    assert (facts.first, facts.last) == (times[strays], times[-1 - strays])
    assert facts.with_user == pytest.approx(1 - taken["user_id"].null_count() / taken.height)
    items = trained_workspace.scan("items").collect()
    assert facts.items == items[Items.item_id.name].n_unique() < items.height
    assert facts.columns["category"].coverage == 1
    assert facts.columns["price"].numeric
    assert not facts.columns["price_band"].numeric
    assert facts.context
    assert all(0 < found.coverage <= 1 for found in facts.context.values())
    days: dict[tuple[str, str], set[object]] = {}
    for user, item, time in taken.select("user_id", "item_id", "timestamp").rows():
        if user is not None:
            days.setdefault((user, item), set()).add(time.date())
    again = sum(len(each) > 1 for each in days.values())
    assert facts.repeats == pytest.approx(again / len(days))


NAMES = st.sampled_from(["age", "hour", "price", "user_item", "brand", "click", "", "^a$", "[b]"])


@given(st.dictionaries(NAMES, st.builds(column, numeric=st.booleans())))
def test_any_context_gives_columns_that_can_be_declared(context: dict[str, ColumnFacts]) -> None:
    found = names(replace(FACTS, context=context))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("values", "numeric"),
    [(["1", "2.5"], True), (["1", "nan"], False), (["1", "1e39"], False), (["1", "1,5"], False)],
)
def test_a_number_is_proposed_only_where_backfill_takes_it(
    values: list[str], numeric: bool, trained_workspace: Workspace, tmp_path: Path
) -> None:
    pairs = [[{"key": "bm25", "value": value}] for value in values]
    shown = trained_workspace.scan("impressions").head(len(values)).collect()
    context = pl.Series("context", pairs, dtype=shown.schema["context"])
    shown.with_columns(context).write_parquet(tmp_path / "impressions.parquet")
    tables = {"items": trained_workspace.location("items")}
    tables["interactions"] = trained_workspace.location("interactions")
    tables["impressions"] = str(tmp_path / "impressions.parquet")
    settings = trained_workspace.config.model_copy(update={"tables": TableSettings(**tables)})
    assert read_facts(Workspace(tmp_path, settings)).context["bm25"].numeric == numeric


@pytest.mark.parametrize("name", ["age", "click_30d", "repeat_rate", "days_since_click", "[/b]"])
@pytest.mark.parametrize("holds", ["text", "number"])
def test_any_attribute_gives_columns_that_can_be_declared(name: str, holds: str) -> None:
    settings = WorkspaceConfig.model_validate(
        {**config().model_dump(), "attributes": {name: holds}}
    )
    facts = of_items(name, column(numeric=holds == "number"))
    assert any(name in each for each in names(facts, settings))
    terminal = Terminal()
    with terminal.capture() as shown:
        terminal.print(render_proposal(propose(facts, settings)))
    assert name.split("_", maxsplit=1)[0] in shown.get()
