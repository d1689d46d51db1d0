"""Requests of a period with their outcome: what the text model and the ranker learn from."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.catalogue import encode
from features.clock import HOUR
from features.history import History, last_interactions
from features.log import Rows, without_sessions
from features.log_days import Log
from features.log_tables import read_requests
from recsys.labels import grade_impressions
from recsys.split import Period
from recsys.workspace import Workspace


@dataclass(frozen=True)
class LabelledSlates:
    """Requests with their outcome, in order of time.

    Attributes:
        rows: The requests; items by place in the catalogue.
        grade: uint8 [n_rows].
        history: Of each request's user, [n_requests, k].
        query: int32 [n_requests], place among the query vectors; -1 without a query.
        labels_end: Last instant whose events may have decided a grade, UTC microseconds.
    """

    rows: Rows
    grade: np.ndarray
    history: History
    query: np.ndarray
    labels_end: int

    def cut(self, low: int, high: int) -> "LabelledSlates":
        """Give a run of requests."""
        rows = self.rows
        first, last = rows.offsets[low], rows.offsets[high]
        part = Rows(
            rows.request_time[low:high],
            rows.request_user[low:high],
            rows.offsets[low : high + 1] - first,
            rows.item[first:last],
        )
        places = np.arange(low, high)
        return LabelledSlates(
            part,
            self.grade[first:last],
            self.history.take(places),
            self.query[places],
            self.labels_end,
        )

    def only(self, kept: np.ndarray) -> "LabelledSlates":
        """Keep some rows, bool [n_rows]; requests without any are left out."""
        sizes = np.bincount(self.rows.request[kept], minlength=len(self))
        there = np.flatnonzero(sizes)
        part = Rows(
            self.rows.request_time[there],
            self.rows.request_user[there],
            np.append(0, np.cumsum(sizes[there])),
            self.rows.item[kept],
        )
        return LabelledSlates(
            part, self.grade[kept], self.history.take(there), self.query[there], self.labels_end
        )

    def __len__(self) -> int:
        return len(self.rows.request_time)


@dataclass(frozen=True)
class Requests:
    """A period's slates and what names their rows.

    Attributes:
        slates: The requests as arrays, in order of time, request and position.
        frame: request_id, item_id, user_id, timestamp, position of each row, aligned.
    """

    slates: LabelledSlates
    frame: pl.DataFrame


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
    return Requests(slates, shown.frame)
