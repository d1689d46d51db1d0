"""Requests with features and interest match: what the ranker learns from and is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.backfill.days import ROWS
from features.backfill.rows import feature_columns
from features.log.log import Log
from recsys.labels.slates import LabelledSlates
from recsys.labels.split import Period, require_time_forward
from recsys.ranker.ranker import RankerRows, text_columns
from recsys.text.signals import INTEREST_MATCH, SIGNALS, TextSignals, signal_rows
from recsys.training.slates import Requests, read_slates
from recsys.training.texts import Texts
from recsys.workspace.backfill import FEATURES
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
        return self.text[:, SIGNALS.index(INTEREST_MATCH)]

    def only(self, kept: np.ndarray) -> "RankingRows":
        """Keep some rows, bool [n_rows]; requests without any are left out."""
        return RankingRows(
            Requests(self.slates.only(kept), self.requests.frame.filter(kept)),
            self.matrix[kept],
            self.text[kept],
            {name: values[kept] for name, values in self.evaluation.items()},
        )

    def for_ranker(self, *, with_text: bool) -> RankerRows:
        """Give the rows as the ranker takes them."""
        matrix = np.hstack([self.matrix, self.text]) if with_text else self.matrix
        slates = self.slates
        position = self.requests.frame[Impressions.position.name].to_numpy().astype(np.int64)
        return RankerRows(matrix, slates.grade, np.diff(slates.rows.offsets), position)


def ranking_rows(
    workspace: Workspace,
    log: Log,
    texts: Texts,
    signals: TextSignals,
    trained_until: int,
    period: Period,
    track: Track = silent,
) -> RankingRows:
    """Bring slates, features and interest match of a period together.

    Args:
        workspace: The workspace, its features computed.
        log: The same, opened.
        texts: From `encode_texts`.
        signals: The catalogue as the text model sees it.
        trained_until: Last moment that decided a label of the text model, UTC microseconds.
        period: Which requests.
        track: Shows progress.

    Returns:
        The rows.

    Raises:
        LeakError: The text model was trained on labels of the period.
        DataError: The computed features are not those of the period's impressions.
    """
    requests = read_slates(workspace, log, texts.queries, period, signals.newest)
    slates = requests.slates
    require_time_forward(trained_until, int(slates.rows.request_time[0]))
    columns = _columns_of_rows(workspace, requests.frame, period)
    chosen = features_of(workspace.config).names
    beside = [feature.name for feature in EvaluationColumns.of(workspace.config).features]
    found = signal_rows(signals, slates, texts.vectors.queries, track)
    return RankingRows(
        requests,
        columns.select(chosen).to_numpy(),
        text_columns(found, slates.rows.request),
        {name: columns[name].to_numpy() for name in beside},
    )


def _columns_of_rows(workspace: Workspace, frame: pl.DataFrame, period: Period) -> pl.DataFrame:
    folder = workspace.root / FEATURES / ROWS
    _, names = feature_columns(folder)
    keys = [Impressions.request_id.name, Impressions.item_id.name]
    inside = period.contains(Impressions.timestamp.col)
    rows = (
        pl.scan_parquet(folder / "*.parquet", extra_columns="ignore")
        .filter(inside)
        .select(keys + names)
        .collect()
    )
    if not rows.select(keys).equals(frame.select(keys)):
        raise DataError(
            f"features of {rows.height} rows in {folder}",
            f"those of the {frame.height} impressions {period}",
            "run `recsys backfill` again",
        )
    return rows.select(names)
