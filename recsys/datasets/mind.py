"""MIND, the Microsoft News Dataset: logged slates of news, with clicks.

Wu et al., MIND: A Large-scale Dataset for News Recommendation, ACL 2020; format as its
introduction describes it. Microsoft Research licence: research only.
"""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.progress import Track, silent
from features.settings import FeatureSettings
from recsys.datasets.ledger import ImportReport, Ledger, Tally
from recsys.datasets.mind_files import HISTORY, SHOWN, SUBCATEGORY, read_behaviours, read_news
from recsys.datasets.write import check_target, write_workspace
from recsys.labels.grades import LabelSettings
from recsys.labels.split import SplitSettings
from recsys.ranker.settings import RankerSettings
from recsys.text.settings import TextSettings
from recsys.workspace.config import WorkspaceConfig

KIND, HISTORY_KIND = "click", "history"
HISTORY_STEP = timedelta(minutes=1)
CLICK_DELAY = timedelta(seconds=1)
TEXT_SHARE, RANKER_SHARE, VALIDATION_SHARE = 0.5, 0.75, 0.85

_REQUEST = Impressions.request_id
_USER = Impressions.user_id
_ITEM = Impressions.item_id
_TIME = Impressions.timestamp
_POSITION = Impressions.position
_EVENT = Interactions.event_id
_CLICKED = "clicked"
_PLACE = "place in the history"

_NOTE = (
    "MIND, Microsoft News Dataset (Wu et al., ACL 2020; for research under Microsoft's licence). "
    "Times are read as UTC. The publisher shuffled the order within each slate, so positions are "
    "not where the news stood. The clicks of a history carry no times and no visits: they stand a "
    "minute apart before the user's first impression, each a visit of its own, and are of a kind "
    "of their own that only profiles read: nobody knows when they were, or what was shown."
)


def import_mind(
    source: Path, target: Path, *, overwrite: bool = False, track: Track = silent
) -> ImportReport:
    """Make a workspace of a folder with MIND's `news.tsv` and `behaviors.tsv`.

    A file that is missing, empty or has a line that does not fit is a `DataError` naming the
    line; a target that `check_target` refuses a `UsageError`. Nothing is written then.

    Args:
        source: The folder.
        target: The workspace to make.
        overwrite: Whether an existing workspace may be replaced.
        track: Shows progress.

    Returns:
        Account of the rows read, kept and set aside.
    """
    check_target(target, source, overwrite=overwrite)
    readers = track((read_news, read_behaviours), "reading the files", 2)
    news, behaviours = (read(source) for read in readers)
    behaviours, behaviour_ledger = _labelled(behaviours)
    shown, shown_ledger = _shown(behaviours)
    history, history_ledger = _history_clicks(behaviours)
    interactions = pl.concat([history, _clicks(shown)], how="diagonal")
    items, item_ledger = _items(news, shown, history)
    return write_workspace(
        target,
        _config(behaviours[_TIME.name]),
        items,
        shown,
        interactions,
        (behaviour_ledger, shown_ledger, history_ledger, item_ledger),
    )


def _config(times: pl.Series) -> WorkspaceConfig:
    attributes = (Items.category.name, SUBCATEGORY)
    return WorkspaceConfig(
        name="MIND",
        data_origin="real",
        slate_source="logged",
        note=_NOTE,
        attributes={SUBCATEGORY: "text"},
        labels=LabelSettings(grades={KIND: 1}, label_gain=(0, 1), attribution_window_hours=1),
        split=_split(times),
        features=FeatureSettings(attributes=attributes, profile_kinds=(HISTORY_KIND,)),
        # Positions are shuffled: there is no bias to be learned from them.
        ranker=RankerSettings(position_bias=False),
        text=TextSettings(template=(Items.title.name, *attributes, Items.description.name)),
    )


def _split(times: pl.Series) -> SplitSettings:
    """Cut the log where the shares of its impressions are reached."""
    ordered: list[datetime] = times.sort().to_list()
    text_end, ranker_end, validation_end = (
        ordered[int(share * len(ordered))] for share in (TEXT_SHARE, RANKER_SHARE, VALIDATION_SHARE)
    )
    if not ordered[0] < text_end < ranker_end < validation_end:
        raise DataError(
            f"{len(ordered)} impressions between {ordered[0]} and {ordered[-1]}",
            f"impressions at different times, to be split at {TEXT_SHARE:.0%}, "
            f"{RANKER_SHARE:.0%} and {VALIDATION_SHARE:.0%} of them",
            "give a longer log",
        )
    return SplitSettings(text_end=text_end, ranker_end=ranker_end, validation_end=validation_end)


def _labelled(rows: pl.DataFrame) -> tuple[pl.DataFrame, Ledger]:
    """Keep the rows that say what was shown and what was clicked."""
    tally = Tally("behaviours", {"behaviors.tsv": rows.height})
    rows = tally.set_aside(rows, _REQUEST.col.is_null(), "no impression id")
    rows = tally.set_aside(rows, pl.col(SHOWN).list.len() == 0, "nothing shown")
    labelled = pl.element().str.contains(r"^.+-[01]$").all()
    unlabelled = ~pl.col(SHOWN).list.eval(labelled).list.first()
    rows = tally.set_aside(rows, unlabelled, "shown news without -0 or -1, as in test sets")
    again = ~_REQUEST.col.is_first_distinct()
    rows = tally.set_aside(rows, again, "impression id that stands in an earlier row")
    if rows.is_empty():
        raise DataError(
            "no row of behaviors.tsv that says what was clicked",
            "shown news as `N1-0 N2-1`",
            "take the training or validation part of MIND; the test part has no labels",
        )
    return rows, tally.close(rows.height)


def _shown(behaviours: pl.DataFrame) -> tuple[pl.DataFrame, Ledger]:
    """One row a candidate, with whether it was clicked."""
    place = pl.int_ranges(1, pl.col(SHOWN).list.len() + 1).alias(_POSITION.name)
    shown = behaviours.select(_REQUEST.name, _USER.name, _TIME.name, SHOWN, place).explode(
        SHOWN, _POSITION.name
    )
    tally = Tally("shown news", {"the behaviours kept": shown.height})
    slot = [_REQUEST.name, _ITEM.name]
    shown = shown.with_columns(
        pl.col(SHOWN).str.head(-2).alias(_ITEM.name),
        pl.col(SHOWN).str.ends_with("-1").alias(_CLICKED),
    ).with_columns(pl.col(_CLICKED).any().over(slot))
    again = ~pl.struct(slot).is_first_distinct()
    shown = tally.set_aside(shown, again, "news that stands earlier in its impression")
    return shown, tally.close(shown.height)


def _clicks(shown: pl.DataFrame) -> pl.DataFrame:
    return shown.filter(_CLICKED).select(
        pl.format("{}-{}", _REQUEST.col, _ITEM.col).alias(_EVENT.name),
        pl.lit(KIND).alias(Interactions.kind.name),
        _USER.col,
        _ITEM.col,
        _REQUEST.col,
        _TIME.col + CLICK_DELAY,
    )


def _history_clicks(behaviours: pl.DataFrame) -> tuple[pl.DataFrame, Ledger]:
    """The clicks before each user's first impression, oldest first, one minute apart.

    Each is a visit: as one, a reader of years would count as someone who came once.
    """
    length = pl.col(HISTORY).list.len()
    rows = behaviours.sort(_TIME.name, maintain_order=True).with_columns(
        _USER.col.is_first_distinct().alias("first"),
        pl.int_ranges(0, length).alias(_PLACE),
        (_TIME.col - HISTORY_STEP * length.cast(pl.Int64)).alias("start"),
    )
    clicks = rows.explode(HISTORY, _PLACE, empty_as_null=False)
    tally = Tally("clicks of histories", {"the behaviours kept": clicks.height})
    of_user = [_USER.name, _TIME.name, _REQUEST.name, HISTORY, _PLACE, "first", "start"]
    clicks = tally.set_aside(clicks.select(of_user), _USER.col.is_null(), "no user")
    later = ~pl.col("first")
    clicks = tally.set_aside(clicks, later, "history of a later row of the user, which repeats it")
    name = pl.format("history-{}-{}", _USER.col, _PLACE)
    events = clicks.select(
        name.alias(_EVENT.name),
        name.alias(Interactions.session_id.name),
        pl.lit(HISTORY_KIND).alias(Interactions.kind.name),
        _USER.col,
        pl.col(HISTORY).alias(_ITEM.name),
        pl.col("start") + HISTORY_STEP * pl.col(_PLACE),
    )
    return events.rename({"start": _TIME.name}), tally.close(events.height)


def _items(
    news: pl.DataFrame, shown: pl.DataFrame, history: pl.DataFrame
) -> tuple[pl.DataFrame, Ledger]:
    """All news known by text, shown or clicked."""
    used = pl.concat([shown[_ITEM.name], history[_ITEM.name]]).unique().sort()
    unknown = used.to_frame().join(news, on=_ITEM.name, how="anti")
    tally = Tally("news", {"news.tsv": news.height, "impressions and histories": unknown.height})
    tally.changed(unknown, pl.lit(value=True), "not in news.tsv: kept without text")
    news = tally.set_aside(news, _ITEM.col.is_null(), "no news id")
    again = ~_ITEM.col.is_first_distinct()
    news = tally.set_aside(news, again, "news id that stands in an earlier row")
    no_title = Items.title.col.is_null()
    tally.changed(news, no_title, "no title: kept with an empty one")
    items = pl.concat([news, unknown], how="diagonal")
    return items.with_columns(Items.title.col.fill_null("")), tally.close(items.height)
