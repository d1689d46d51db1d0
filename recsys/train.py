"""Training from a workspace to a bundle: features, text model, ranker, calibration."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.progress import Track, silent
from data_contracts.storage import atomic_file, atomic_folder
from features.backfill import Log, backfill, feature_columns, open_log
from features.clock import DAY
from features.state_files import save_state
from recsys.bundle import (
    ENCODER,
    FORMAT,
    FULL,
    MANIFEST,
    NO_TEXT,
    QUERIES,
    STATE,
    CutOffs,
    Manifest,
    features_of,
    file_hashes,
    interaction_kinds,
    library_versions,
    save_calibrations,
    save_interest,
)
from recsys.calibration import Calibration, fit_calibration
from recsys.config import CONFIG_NAME, write_config
from recsys.dataset import LabelledSlates, Requests, query_texts, read_slates
from recsys.metrics import ndcg_at_k, rank_rows
from recsys.ranker import TEXT_COLUMNS, Ranker, RankerRows, fit_ranker, text_columns
from recsys.split import Period, periods, require_time_forward
from recsys.text.encoder import TextEncoder, encoder_folder
from recsys.text.finetune import FrozenVectors, TextTraining, finetune_head, match_rows
from recsys.text.head import table_of
from recsys.text.interest import InterestTable
from recsys.text.template import item_texts
from recsys.text.vectors import vectors_of
from recsys.workspace import TABLES, Workspace

FEATURES = "features"
ROWS = "rows"
INPUTS = "inputs.json"
CACHE = "cache"
BUNDLES = "bundles"


def open_workspace_log(workspace: Workspace) -> Log:
    """Open the log of a workspace for the feature executors."""
    return open_log(
        workspace.scan("items"),
        workspace.scan("impressions"),
        workspace.scan("interactions"),
        workspace.config.features.attributes,
        interaction_kinds(workspace.config),
    )


def run_backfill(
    workspace: Workspace, log: Log, *, again: bool = False, track: Track = silent
) -> Path:
    """Compute the features of the ranker's, the validation's and the test's requests.

    What is there is kept when the tables and the configuration have not changed since.

    Args:
        workspace: The workspace.
        log: The same, opened.
        again: Compute even when nothing changed.
        track: Shows progress.

    Returns:
        The folder with `rows/` (a Parquet file a day) and `state/` (as of the end of the log).
    """
    folder = workspace.root / FEATURES
    inputs = _inputs(workspace)
    stamp = folder / INPUTS
    if not again and stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == inputs:
        return folder
    stamp.unlink(missing_ok=True)
    features = features_of(workspace.config)
    start_day = int(workspace.config.split.text_end.timestamp() * 1e6) // DAY
    state = backfill(
        log, features, workspace.config.features, folder / ROWS, start_day, track=track
    )
    save_state(state, log.catalogue, log.user_ids, folder / STATE)
    with atomic_file(stamp) as part:
        part.write_text(json.dumps(inputs), encoding="utf-8")
    return folder


def _inputs(workspace: Workspace) -> dict[str, str]:
    """Give what features depend on: settings, and size and time of the tables."""
    config = workspace.config
    settings = [
        config.features.model_dump_json(),
        config.labels.model_dump_json(),
        config.split.text_end.isoformat(),
        features_of(config).schema_hash,
    ]
    digest = hashlib.sha256("\n".join(settings).encode()).hexdigest()
    return {"settings": digest} | {table: _stamp(workspace.location(table)) for table in TABLES}


def _stamp(location: str) -> str:
    """Tell a local file's state, wherever its folder moves; a remote table's URL has to do."""
    path = Path(location)
    if not path.is_file():
        return location
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


@dataclass(frozen=True)
class Texts:
    """The frozen encoder's view of the workspace.

    Attributes:
        encoder: The encoder.
        queries: Distinct queries of the log.
        vectors: Of items and queries.
    """

    encoder: TextEncoder
    queries: pl.Series
    vectors: FrozenVectors


def encode_texts(workspace: Workspace, track: Track = silent) -> Texts:
    """Encode the catalogue and the queries; what was encoded before comes from the cache."""
    settings = workspace.config.text
    folder = encoder_folder(settings.encoder)
    encoder = TextEncoder.load(folder, max_tokens=settings.max_tokens)
    texts = item_texts(workspace.scan("items").collect(), settings.template)
    queries = query_texts(workspace)
    both = vectors_of(
        [*texts.to_list(), *queries.to_list()], encoder, workspace.root / CACHE, track
    )
    return Texts(encoder, queries, FrozenVectors(both[: len(texts)], both[len(texts) :]))


def train_text(
    workspace: Workspace,
    log: Log,
    texts: Texts,
    period: Period,
    seed: int = 0,
    track: Track = silent,
) -> TextTraining:
    """Fine-tune the interest match on the requests of a period.

    Args:
        workspace: The workspace.
        log: The same, opened.
        texts: From `encode_texts`.
        period: Which requests; `periods(...).text` for a model that the ranker may use.
        seed: Seeds everything drawn.
        track: Shows progress.

    Returns:
        The trained head, with the last moment its labels know of.
    """
    config = workspace.config
    slates = read_slates(workspace, log, texts.queries, period, config.text.history).slates
    kinds = len(log.interactions.kinds)
    return finetune_head(
        slates, texts.vectors, config.labels.label_gain, kinds, config.text, seed, track
    )


@dataclass(frozen=True)
class RankingRows:
    """Requests of a period with features and interest match: what ranker and evaluation use.

    Attributes:
        requests: The slates, graded.
        matrix: Behavioural features, float32 [n_rows, n_features].
        text: Text columns, float32 [n_rows, 2].
    """

    requests: Requests
    matrix: np.ndarray
    text: np.ndarray

    @property
    def slates(self) -> LabelledSlates:
        """The slates, graded."""
        return self.requests.slates

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
    table: InterestTable,
    trained_until: int,
    period: Period,
    track: Track = silent,
) -> RankingRows:
    """Bring slates, features and interest match of a period together.

    Args:
        workspace: The workspace, its features computed.
        log: The same, opened.
        texts: From `encode_texts`.
        table: The catalogue as the text model sees it.
        trained_until: Last moment that decided a label of the text model, UTC microseconds.
        period: Which requests.
        track: Shows progress.

    Returns:
        The rows.

    Raises:
        LeakError: The text model was trained on labels of the period.
        DataError: The computed features are not those of the period's impressions.
    """
    requests = read_slates(workspace, log, texts.queries, period, workspace.config.text.history)
    slates = requests.slates
    require_time_forward(trained_until, int(slates.rows.request_time[0]))
    matrix = _features_of_rows(workspace, requests.frame, period)
    match = match_rows(table, slates, texts.vectors.queries, track)
    return RankingRows(requests, matrix, text_columns(match, slates.rows.request))


def _features_of_rows(workspace: Workspace, frame: pl.DataFrame, period: Period) -> np.ndarray:
    folder = workspace.root / FEATURES / ROWS
    _, names = feature_columns(folder)
    keys = [Impressions.request_id.name, Impressions.item_id.name]
    inside = period.contains(Impressions.timestamp.col)
    rows = pl.scan_parquet(folder / "*.parquet").filter(inside).select(keys + names).collect()
    if not rows.select(keys).equals(frame.select(keys)):
        raise DataError(
            f"features of {rows.height} rows in {folder}",
            f"those of the {frame.height} impressions {period}",
            "run `recsys backfill` again",
        )
    return rows.select(names).to_numpy()


def train(
    workspace: Workspace, *, seed: int = 0, name: str = "current", track: Track = silent
) -> Path:
    """Train a bundle from a workspace, and write it whole or not at all.

    Args:
        workspace: The workspace.
        seed: Seeds the text model and the ranker.
        name: Name of the bundle; one of the same name is replaced.
        track: Shows progress.

    Returns:
        The bundle's folder.
    """
    log = open_workspace_log(workspace)
    features = run_backfill(workspace, log, track=track)
    texts = encode_texts(workspace, track)
    split = periods(workspace.config.split, workspace.config.labels.attribution_window_hours)
    training = train_text(workspace, log, texts, split.text, seed, track)
    table = table_of(training.model, texts.vectors.items)
    rows = {
        part: ranking_rows(workspace, log, texts, table, training.trained_until, period, track)
        for part, period in (("ranker", split.ranker), ("validation", split.validation))
    }
    scorers = {
        part: _fit(workspace, rows["ranker"], rows["validation"], part, seed)
        for part in track((FULL, NO_TEXT), "Training rankers", 2)
    }
    folder = workspace.root / BUNDLES / name
    with atomic_folder(folder) as part:
        _write_parts(part, workspace, texts, table, features / STATE, scorers)
        manifest = Manifest(
            format=FORMAT,
            name=name,
            created_at=datetime.now(UTC),
            data=workspace.config.name,
            data_origin=workspace.config.data_origin,
            slate_source=workspace.config.slate_source,
            note=workspace.config.note,
            seed=seed,
            encoder_fingerprint=texts.encoder.fingerprint,
            schema_hash=features_of(workspace.config).schema_hash,
            features=features_of(workspace.config).names,
            cut_offs=_cut_offs(training, rows, log),
            metrics={part: scorer.validation_ndcg for part, scorer in scorers.items()},
            libraries=library_versions(),
            files=file_hashes(part),
        )
        content = manifest.model_dump_json(indent=2)
        (part / MANIFEST).write_text(content, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class _Fitted:
    ranker: Ranker
    calibration: Calibration
    validation_ndcg: float


def _fit(
    workspace: Workspace, ranker: RankingRows, validation: RankingRows, part: str, seed: int
) -> _Fitted:
    config = workspace.config
    with_text = part == FULL
    names: Sequence[str] = features_of(config).names
    columns = [*names, *TEXT_COLUMNS] if with_text else names
    later = validation.for_ranker(with_text=with_text)
    fitted = fit_ranker(
        ranker.for_ranker(with_text=with_text),
        later,
        columns,
        config.labels.label_gain,
        config.ranker,
        seed,
    )
    scores = fitted.score(later.matrix)
    gain = np.asarray(config.labels.label_gain)[later.grade]
    ranked = rank_rows(validation.slates.rows.offsets, scores, gain)
    return _Fitted(
        fitted, fit_calibration(scores, later.grade > 0), float(np.nanmean(ndcg_at_k(ranked)))
    )


def _write_parts(
    folder: Path,
    workspace: Workspace,
    texts: Texts,
    table: InterestTable,
    state: Path,
    scorers: dict[str, _Fitted],
) -> None:
    write_config(workspace.config, folder / CONFIG_NAME)
    (folder / ENCODER).mkdir()
    texts.encoder.save(folder / ENCODER)
    save_interest(table, folder)
    vectors = pl.Series(
        "vector",
        texts.vectors.queries,
        dtype=pl.Array(pl.Float32, texts.encoder.dim),
    )
    pl.DataFrame({"query": texts.queries, "vector": vectors}).write_parquet(folder / QUERIES)
    for name, scorer in scorers.items():
        scorer.ranker.save(folder / f"{name}.txt")
    save_calibrations({name: scorer.calibration for name, scorer in scorers.items()}, folder)
    (folder / STATE).mkdir()
    for path in sorted(state.iterdir()):
        (folder / STATE / path.name).write_bytes(path.read_bytes())


def _cut_offs(training: TextTraining, rows: dict[str, RankingRows], log: Log) -> CutOffs:
    ranker, validation = (rows[part].slates.rows.request_time for part in ("ranker", "validation"))
    return CutOffs(
        text_trained_until=_moment(training.trained_until),
        ranker_from=_moment(int(ranker[0])),
        ranker_until=_moment(int(ranker[-1])),
        validation_until=_moment(int(validation[-1])),
        state_as_of=_moment(log.end_day * DAY),
    )


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1e6, UTC)


def bundle_name(seed: int) -> str:
    """Name the bundle of a seed: the first is the current one, others are named by their seed."""
    return "current" if seed == 0 else f"seed-{seed}"
