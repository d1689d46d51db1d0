"""Requests with features and interest match: what the ranker learns from and is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from features.log_days import Log
from features.row_files import feature_columns
from features.walk import ROWS
from recsys.dataset import LabelledSlates, Requests, query_texts, read_slates
from recsys.feature_columns import EvaluationColumns, features_of
from recsys.ranker import RankerRows, text_columns
from recsys.split import Period, require_time_forward
from recsys.text.encoder import TextEncoder
from recsys.text.encoders.base import Encoder
from recsys.text.opening import load_weights, open_backend
from recsys.text.sampling import FrozenVectors
from recsys.text.signals import INTEREST_MATCH, SIGNALS, TextSignals, signal_rows
from recsys.text.template import item_texts
from recsys.text.vectors import encoded_of
from recsys.workspace import CACHE, Workspace
from recsys.workspace_features import FEATURES


@dataclass(frozen=True)
class Texts:
    """The frozen encoder's view of the workspace.

    Attributes:
        encoder: The encoder as it was learned.
        queries: Distinct queries of the log.
        vectors: Of items and queries.
        backend: What computed the vectors.
        cut: Items whose text is longer than the encoder reads.
    """

    encoder: TextEncoder
    queries: pl.Series
    vectors: FrozenVectors
    backend: Encoder
    cut: int


def encode_texts(workspace: Workspace, track: Track = silent) -> Texts:
    """Encode the catalogue and the queries; what was encoded before comes from the cache."""
    encoding = workspace.config.encoding
    weights = load_weights(workspace.config.text, encoding)
    return _encoded(workspace, weights, query_texts(workspace), track)


def texts_of(
    workspace: Workspace, texts: Texts, encoder: TextEncoder, track: Track = silent
) -> Texts:
    """Give the same texts as another encoder sees them.

    Args:
        workspace: The workspace.
        texts: As one encoder sees them; returned as they are if it is this one.
        encoder: The other one, such as one that was tuned.
        track: Shows progress.

    Returns:
        The texts with that encoder's vectors.
    """
    if encoder.fingerprint == texts.encoder.fingerprint:
        return texts
    return _encoded(workspace, encoder, texts.queries, track)


def _encoded(workspace: Workspace, weights: TextEncoder, queries: pl.Series, track: Track) -> Texts:
    settings, encoding = workspace.config.text, workspace.config.encoding
    cache = workspace.root / CACHE
    backend = open_backend(weights, encoding, cache)
    items = workspace.scan("items").select(settings.template).collect()
    texts = item_texts(items, settings.template, settings.limits)
    both = [*texts.to_list(), *queries.to_list()]
    found = encoded_of(both, backend, cache, track, encoding.precision)
    count = len(texts)
    vectors = FrozenVectors(found.vectors[:count], found.vectors[count:])
    return Texts(weights, queries, vectors, backend, int(found.cut[:count].sum()))


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
