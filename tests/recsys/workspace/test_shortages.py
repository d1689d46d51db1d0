"""What each period of training lacks."""

import polars as pl
import pytest

from recsys.labels.split import SplitSettings
from recsys.ranker.settings import LONGEST_SLATE, RankerSettings
from recsys.text.settings import TextSettings
from tests.recsys.workspace.worlds import (
    DAY,
    DAYS,
    START,
    World,
    broken,
    first,
    impressions,
    interactions,
)


def test_split_moments_must_lie_within_the_log(world: World) -> None:
    split = SplitSettings(
        text_end=START - DAY, ranker_end=START + 8 * DAY, validation_end=START + (DAYS + 4) * DAY
    )
    world.config = world.config.model_copy(update={"split": split})
    report = world.check()
    assert not report.ok
    assert broken(report) == {
        "split text_end_outside_of_the_log": ("error", 1),
        "split validation_end_outside_of_the_log": ("error", 1),
        "split text_without_requests": ("error", 1),
        "split test_without_requests": ("error", 1),
    }


@pytest.mark.parametrize(
    ("period", "days"),
    [("text", range(11)), ("ranker", range(13, 24)), ("validation", range(25, 36))],
)
def test_every_period_needs_a_positive_outside_of_the_gap(
    period: str, days: range, world: World
) -> None:
    gone = [f"r{day}" for day in days]
    world.tables["interactions"] = interactions().filter(~pl.col("request_id").is_in(gone))
    assert broken(world.check()) == {f"split {period}_without_positives": ("error", 1)}
    world.tables["interactions"] = interactions().filter(~pl.col("request_id").is_in(gone[:-2]))
    assert broken(world.check()) == {}


def test_a_slate_needs_what_was_not_taken(world: World) -> None:
    world.tables["impressions"] = impressions().filter(pl.col("item_id") == "a")
    report = world.check()
    assert broken(report) == {
        f"split {part}_without_negatives": ("error", 1)
        for part in ("text", "ranker", "validation", "test")
    }
    assert "every slate has one candidate" in first(report, "split text_without_negatives")


def test_where_all_was_taken_there_is_no_negative(world: World) -> None:
    other = interactions().with_columns(
        pl.lit("b").alias("item_id"), pl.format("{}b", "event_id").alias("event_id")
    )
    world.tables["interactions"] = pl.concat([interactions(), other])
    report = world.check()
    assert not report.ok
    told = first(report, "split ranker_without_negatives")
    assert "11 slates, 11 of them with a positive, 0 with a negative too" in told
    assert "shown and not taken" in told


def test_without_any_text_the_text_model_lacks_texts(world: World) -> None:
    world.change("items", pl.lit("").alias("title"), pl.lit(None).alias("tags"))
    report = world.check()
    assert broken(report) == {
        "items without_text": ("warning", 2),
        "split text_without_text": ("error", 1),
    }
    assert "[text] template" in first(report, "split text_without_text")


def test_the_last_slates_of_the_text_period_need_a_positive_too(world: World) -> None:
    world.tables["interactions"] = interactions().filter(pl.col("request_id") != "r11")
    assert broken(world.check()) == {"split text_stopping_without_positives": ("error", 1)}


def test_fewer_slates_than_a_batch_are_told_with_the_setting(world: World) -> None:
    text = TextSettings(batch_slates=12)
    world.config = world.config.model_copy(update={"text": text})
    report = world.check()
    assert broken(report) == {"split text_with_too_few_slates": ("error", 1)}
    assert "11 usable" in first(report, "split text_with_too_few_slates")
    assert "lower batch_slates under [text], which is 12" in first(
        report, "split text_with_too_few_slates"
    )


@pytest.mark.parametrize(("leaf", "fits"), [(8, True), (9, False)])
def test_the_ranker_needs_rows_for_two_leaves(leaf: int, fits: bool, world: World) -> None:
    """Eleven slates of two, of which eight tenths are drawn."""
    assert 2 * 8 <= int(11 * 2 * 0.8) < 2 * 9
    ranker = RankerSettings(min_data_in_leaf=leaf)
    world.config = world.config.model_copy(update={"ranker": ranker})
    found = broken(world.check())
    assert found == ({} if fits else {"split ranker_with_too_few_rows": ("error", 1)})


@pytest.mark.parametrize(("day", "refused"), [(15, True), (40, False)])
def test_a_slate_longer_than_lightgbm_takes_is_named(day: int, refused: bool, world: World) -> None:
    many = LONGEST_SLATE + 1
    more = pl.DataFrame(
        {
            "request_id": [f"r{day}"] * (many - 2),
            "item_id": [f"more{n}" for n in range(many - 2)],
            "user_id": ["u"] * (many - 2),
            "position": pl.Series(range(3, many + 1), dtype=pl.Int32),
            "timestamp": [START + day * DAY + DAY / 2] * (many - 2),
        }
    )
    world.tables["impressions"] = pl.concat([impressions(), more])
    report = world.check()
    rule = "split ranker_slate_longer_than_lightgbm_takes"
    assert (rule in broken(report)) == refused
    if refused:
        assert broken(report)[rule] == ("error", 1)
        assert f"request 'r15' has {many:,} candidates" in first(report, rule)
