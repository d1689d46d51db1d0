"""Ranking rows: a period's slates joined with their feature rows and text columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.backfill.rows import feature_columns
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import require_time_forward
from recsys.ranker.ranker import RankerRows, text_columns
from recsys.text.signals import TextSignals, match_rows
from recsys.training.slates import Requests
from recsys.workspace.feature_sets import EvaluationColumns, features_of
from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class RankingRows:
    """Requests of a period with features and interest match: what ranker and evaluation use.

    Attributes:
        requests: The slates, graded.
        matrix: Behavioural features, float32 [n_rows, n_features].
        text: Text columns, float32 [n_rows, n_text_columns].
        evaluation: What evaluation reads, by name of the column, float32 [n_rows].
    """

    requests: Requests
    matrix: np.ndarray
    text: np.ndarray
    evaluation: Mapping[str, np.ndarray]

    @property
    def slates(self) -> LabelledSlates:
        """The slates, graded."""
        return self.requests.slates

    @property
    def match(self) -> np.ndarray:
        """Interest match, float32 [n_rows]; NaN for items without text."""
        return self.text[:, 0]

    def only(self, kept: np.ndarray) -> "RankingRows":
        """Keep some rows, bool [n_rows]; requests without any are left out."""
        return RankingRows(
            replace(
                self.requests,
                slates=self.slates.only(kept),
                frame=self.requests.frame.filter(kept),
            ),
            self.matrix[kept],
            self.text[kept],
            {name: values[kept] for name, values in self.evaluation.items()},
        )

    def for_ranker(self, *, with_text: bool) -> RankerRows:
        """Give the rows as the ranker takes them."""
        matrix = np.hstack([self.matrix, self.text]) if with_text else self.matrix
        slates = self.slates
        position = self.requests.frame[Impressions.position.name].to_numpy().astype(np.int64)
        weight = slates.weight if slates.aggregated else None
        return RankerRows(matrix, slates.grade, np.diff(slates.rows.offsets), position, weight)


def ranking_rows(
    workspace: Workspace,
    requests: Requests,
    signals: TextSignals,
    query_vectors: np.ndarray,
    trained_until: int,
    track: Track = silent,
) -> RankingRows:
    """Join the requests of a period with their features and interest match.

    Args:
        workspace: The workspace, its features computed.
        requests: The requests, with histories of `signals.newest` interactions.
        signals: The catalogue in the text model's space.
        query_vectors: Of the queries, float32 [n_queries, dim].
        trained_until: Last moment that decided a label of the text model, UTC microseconds.
        track: Shows progress.

    Returns:
        The rows.

    Raises:
        LeakError: The text model was trained on labels of these requests.
        DataError: The computed features are not those of the requests.
    """
    slates = requests.slates
    require_time_forward(trained_until, int(slates.rows.request_time[0]))
    columns = _feature_rows(workspace, requests)
    evaluated = [feature.name for feature in EvaluationColumns.of(workspace.config).features]
    match = match_rows(signals, slates, query_vectors, track)
    return RankingRows(
        requests,
        columns.select(features_of(workspace.config).names).to_numpy(),
        text_columns(match, slates.rows.request),
        {name: columns[name].to_numpy() for name in evaluated},
    )


def _feature_rows(workspace: Workspace, requests: Requests) -> pl.DataFrame:
    _, names = feature_columns(workspace.rows)
    keys = [Impressions.request_id.name, Impressions.item_id.name]
    rows = (
        pl.scan_parquet(workspace.rows / "*.parquet", extra_columns="ignore")
        .filter(requests.period.contains(Impressions.timestamp.col))
        .select(keys + names)
        .collect()
    )
    if not rows.select(keys).equals(requests.frame.select(keys)):
        raise DataError(
            f"features of {rows.height} rows in {workspace.rows}",
            f"those of the {requests.frame.height} impressions {requests.period}",
            "run `recsys backfill` again",
        )
    return rows.select(names)
