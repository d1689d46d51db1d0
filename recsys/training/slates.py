"""Slates of a period: impressions read into requests, graded, with the users' histories."""

from dataclasses import dataclass

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.arrays.clock import HOUR
from features.log.catalogue import encode
from features.log.events import without_sessions
from features.log.history import last_interactions
from features.log.log import Log
from features.log.tables import read_requests
from recsys.labels.grades import grade_impressions
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period
from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Requests:
    """A period's slates and what names their rows.

    Attributes:
        slates: The requests as arrays, in order of time, request and position.
        frame: request_id, item_id, user_id, timestamp, position of each row, aligned.
        period: When they were made.
    """

    slates: LabelledSlates
    frame: pl.DataFrame
    period: Period


def query_texts(workspace: Workspace) -> pl.Series:
    """List the distinct queries of the log, sorted."""
    query = Impressions.query.name
    found = workspace.scan("impressions").select(pl.col(query).unique().drop_nulls()).collect()
    return found[query].sort()


def read_slates(
    workspace: Workspace, log: Log, queries: pl.Series, period: Period, history: int
) -> Requests:
    """Read the requests of a period and grade them.

    No interaction from beyond the period's end decides a grade, so that nothing of the next
    period is known in this one.

    Args:
        workspace: The workspace.
        log: The same, opened.
        queries: From `query_texts`.
        period: Which requests.
        history: Interactions per user to look back at.

    Returns:
        The requests.

    Raises:
        DataError: The period has no request.
    """
    time = Impressions.timestamp.name
    chosen = workspace.scan("impressions").filter(period.contains(pl.col(time)))
    frame = chosen.sort(time, Impressions.request_id.name, Impressions.position.name).collect()
    if not frame.height:
        raise DataError(
            f"no request {period}",
            "requests in every period of the split",
            "move the moments under [split] in recsys.toml into the time of the log",
        )
    shown = read_requests(frame.lazy(), log.item_ids, log.user_ids)
    interactions = workspace.scan("interactions")
    if period.end is not None:
        interactions = interactions.filter(Interactions.timestamp.col < period.end)
    rows = shown.rows
    labels = workspace.config.labels
    labels_end = int(rows.request_time[-1]) + int(labels.attribution_window_hours * HOUR)
    if period.end is not None:
        labels_end = min(labels_end, int(period.end.timestamp() * 1e6))
    slates = LabelledSlates(
        rows,
        grade_impressions(frame, interactions, labels),
        last_interactions(
            without_sessions(log.interactions),
            rows.request_user,
            rows.request_time,
            history,
            workspace.config.features.forget_days,
        ),
        encode(frame[Impressions.query.name], queries)[rows.offsets[:-1]],
        labels_end,
    )
    return Requests(slates, shown.frame, period)
