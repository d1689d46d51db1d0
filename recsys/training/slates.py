"""Slates of a period: impressions read into requests, graded, with the users' histories."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions, Interactions
from features.arrays.key_index import MISSING
from features.arrays.look_up import look_up
from features.log.catalogue import encode
from features.log.events import without_sessions
from features.log.history import last_interactions
from features.log.item_columns import TEXT
from features.log.log import Log
from features.log.requests import read_requests
from recsys.labels.grades import grade_impressions
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period
from recsys.text.template import query_text
from recsys.workspace.workspace import Workspace

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Requests:
    """A period's slates and what names their rows.

    Attributes:
        slates: The requests as arrays, in order of time, request and position.
        frame: request_id, item_id, user_id, timestamp, position of each row, aligned.
        period: When they were made; it ends no later than the last request with final grades.
    """

    slates: LabelledSlates
    frame: pl.DataFrame
    period: Period


def query_texts(workspace: Workspace) -> pl.Series:
    """List the distinct queries of the log as they are encoded, sorted."""
    query = Impressions.query.name
    found = workspace.scan("impressions").select(pl.col(query).unique()).collect()
    return _readable(found[query], workspace).unique().drop_nulls().sort()


def _readable(queries: pl.Series, workspace: Workspace) -> pl.Series:
    """Bring queries into the form that is encoded; null without one, or where it is blank."""
    known = queries.unique().drop_nulls()
    read = [query_text(each, workspace.config.text) or None for each in known]
    return queries.replace_strict(known, read, default=None, return_dtype=pl.String)


def read_slates(
    workspace: Workspace, log: Log, queries: pl.Series, period: Period, history: int
) -> Requests:
    """Read the requests of a period and grade them.

    Their grades are those that the whole log gives them: what decides them reaches one attribution
    window beyond the period's end, into the purge gap that follows it, and no further. Requests
    whose window goes on beyond the log's end have no final grades and are left out.

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
    period = period.until(_EPOCH + timedelta(microseconds=log.labelled_until))
    frame, grade = _graded(workspace, period)
    if not frame.height:
        raise DataError(
            f"no request {period}",
            "requests in every period of the split",
            "move the moments under [split] in recsys.toml into the time of the log, whose last "
            "requests can be labelled one attribution window before its end",
        )
    shown = read_requests(frame.lazy(), log.item_ids, log.user_ids)
    rows, window = shown.rows, workspace.config.labels.attribution_window
    past = last_interactions(
        without_sessions(log.interactions),
        rows.request_user,
        rows.request_time,
        history,
        workspace.config.features.forget_days,
    )
    slates = LabelledSlates(
        rows,
        _texts(log, rows.item, rows.time),
        grade,
        frame[Impressions.weight.name].fill_null(1).to_numpy(),
        past,
        _texts(log, past.item, np.repeat(rows.request_time, past.lengths)),
        encode(_readable(frame[Impressions.query.name][rows.offsets[:-1]], workspace), queries),
        int(rows.request_time[-1]) + window // timedelta(microseconds=1),
    )
    return Requests(slates, shown.frame, period)


def _texts(log: Log, item: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Code of the text that each item had at a moment, int32 [n]; negative without one."""
    catalogue = log.catalogue
    return look_up(catalogue.attributes[TEXT], catalogue.versions(item, moment), MISSING)


def _graded(workspace: Workspace, period: Period) -> tuple[pl.DataFrame, np.ndarray]:
    """Read the impressions of a period in order of time, request and position, with their grades.

    The impressions of the window after it are graded too: what followed them is not theirs.
    """
    labels, time = workspace.config.labels, Impressions.timestamp.name
    decided = period.extended(labels.attribution_window)
    frame = (
        workspace.scan("impressions")
        .filter(decided.contains(Impressions.timestamp.col))
        .sort(time, Impressions.request_id.name, Impressions.position.name)
        .collect()
    )
    followed = workspace.scan("interactions").filter(decided.contains(Interactions.timestamp.col))
    grade = grade_impressions(frame, followed, labels)
    inside = frame.filter(period.contains(Impressions.timestamp.col))
    return inside, grade[: inside.height]
