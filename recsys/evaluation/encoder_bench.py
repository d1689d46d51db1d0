"""Comparison of encoder backends: texts per second, and the nDCG@10 that rounding costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import tomlkit
from rich.table import Table

from data_contracts.errors import UsageError
from data_contracts.progress import Track, silent
from data_contracts.storage import write_text
from recsys.bundle.bundle import FULL
from recsys.metrics.ranking import ndcg_at_k, rank_rows
from recsys.metrics.weights import weighted_mean
from recsys.ranker.ranker import Ranker, text_columns
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.open import load_weights, open_backend
from recsys.text.encoder.settings import Backend, EncodingSettings
from recsys.text.head import InterestModel
from recsys.text.signals import match_rows
from recsys.training.data import TrainingData
from recsys.training.rows import RankingRows
from recsys.training.scorers import fit_scorer
from recsys.training.text_model import TextRun, train_text
from recsys.training.texts import encode_texts
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig
from recsys.workspace.workspace import Workspace

BACKENDS: tuple[Backend, ...] = ("torch", "torch-bf16", "onnx", "onnx-int8")
_ROUNDS = 3


@dataclass(frozen=True)
class BackendResult:
    """What one backend does.

    Attributes:
        backend: Its name.
        texts_per_s: Texts encoded in a second; NaN when it cannot be used.
        match: nDCG@10 of the interest match alone on the validation period.
        full: nDCG@10 of the ranker with text.
        loss: The larger of what both lose against torch in float32.
        reason: Why it cannot be used; None when it can.
    """

    backend: Backend
    texts_per_s: float = np.nan
    match: float = np.nan
    full: float = np.nan
    loss: float = np.nan
    reason: str | None = None


@dataclass(frozen=True)
class _Judge:
    """A text model and a ranker, trained on the vectors of torch in float32.

    Attributes:
        data: The workspace's data.
        model: The head.
        ranker: The ranker with text.
        rows: The validation period.
    """

    data: TrainingData
    model: InterestModel
    ranker: Ranker
    rows: RankingRows

    def ndcg(self, config: WorkspaceConfig) -> tuple[float, float]:
        """Give nDCG@10 of the match and of the ranker, with vectors of a configuration."""
        workspace = Workspace(self.data.workspace.root, config)
        texts = encode_texts(workspace, self.data.log.catalogue)
        data = replace(self.data, workspace=workspace, texts=texts)
        vectors = data.texts.vectors.queries
        match = match_rows(data.signals(self.model), self.rows.slates, vectors)
        request = self.rows.slates.rows.request
        rows = replace(self.rows, text=text_columns(match, request))
        score = np.where(np.isnan(match), -np.inf, match)
        full = self.ranker.score(rows.for_ranker(with_text=True).matrix)
        return self._mean(score), self._mean(full)

    def _mean(self, score: np.ndarray) -> float:
        slates = self.rows.slates
        gain = np.asarray(self.data.config.labels.label_gain)[slates.grade]
        ranked = rank_rows(slates.rows.offsets, score, gain)
        return weighted_mean(ndcg_at_k(ranked), slates.request_weight)


def bench_encoders(
    workspace: Workspace, texts: int = 1000, seed: int = 0, track: Track = silent
) -> list[BackendResult]:
    """Compare the backends on a workspace.

    The head and the ranker are trained once, on the vectors of torch in float32, and judge the
    vectors of every backend on the validation period.

    Args:
        workspace: The workspace.
        texts: Texts of the catalogue to time each backend on.
        seed: Seeds the training, and which texts are timed.
        track: Shows progress.

    Returns:
        A result per backend, torch in float32 first.
    """
    encoders, reasons = _open_all(workspace)
    data = TrainingData.open(_with(workspace, "torch"), track)
    judge = _train_judge(data, seed, track)
    speeds = _speeds(encoders, sample_texts(data.texts.items, texts, seed), track)
    results: list[BackendResult] = []
    for backend in track(BACKENDS, "Judging backends", len(BACKENDS)):
        if backend in reasons:
            results.append(BackendResult(backend, reason=reasons[backend]))
            continue
        match, full = judge.ndcg(_with(workspace, backend).config)
        base = results[0] if results else BackendResult("torch", match=match, full=full)
        loss = max(base.match - match, base.full - full)
        results.append(BackendResult(backend, speeds[backend], match, full, loss))
    return results


def fastest(results: Sequence[BackendResult], max_loss: float) -> BackendResult:
    """Give the fastest backend that loses no more than allowed."""
    usable = [found for found in results if found.reason is None and found.loss <= max_loss]
    return max(usable, key=lambda found: found.texts_per_s)


def bench_table(results: Sequence[BackendResult], max_loss: float) -> Table:
    """Show the results."""
    table = Table(title="Backends of the encoder", title_justify="left")
    for name in ("backend", "texts/s", "nDCG@10 match", "nDCG@10 ranker", "loss", ""):
        table.add_column(name, justify="left" if name in {"backend", ""} else "right")
    for found in results:
        if found.reason is not None:
            table.add_row(found.backend, "", "", "", "", found.reason)
            continue
        verdict = "refused: loses too much" if found.loss > max_loss else ""
        numbers = (f"{found.match:.4f}", f"{found.full:.4f}", f"{found.loss:+.4f}")
        table.add_row(found.backend, f"{found.texts_per_s:,.0f}", *numbers, verdict)
    return table


def write_backend(workspace: Workspace, backend: Backend) -> Path:
    """Write a backend into `recsys.toml`; its comments, its order and all other fields stay.

    Args:
        workspace: The workspace.
        backend: The backend.

    Returns:
        The file.
    """
    path = workspace.root / CONFIG_NAME
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    encoding: dict[str, object] = document.setdefault("encoding", tomlkit.table())
    encoding["backend"] = backend
    write_text(path, tomlkit.dumps(document))
    return path


def _with(workspace: Workspace, backend: Backend) -> Workspace:
    encoding = workspace.config.encoding.model_copy(update={"backend": backend})
    return Workspace(workspace.root, workspace.config.model_copy(update={"encoding": encoding}))


def _open_all(workspace: Workspace) -> tuple[dict[Backend, Encoder], dict[Backend, str]]:
    """Open every backend that can be used here, and tell of the others why not."""
    encoders: dict[Backend, Encoder] = {}
    reasons: dict[Backend, str] = {}
    weights = load_weights(workspace.config.text, workspace.config.encoding)
    for backend in BACKENDS:
        settings: EncodingSettings = _with(workspace, backend).config.encoding
        try:
            encoders[backend] = open_backend(weights, settings, workspace.cache)
        except UsageError as error:
            reasons[backend] = error.found
    return encoders, reasons


def _train_judge(data: TrainingData, seed: int, track: Track) -> _Judge:
    data.compute_features(track)
    periods = data.config.periods
    text = train_text(data, periods.text, TextRun(seed, mode="head"), track)
    signals = data.signals(text.model)
    ranker, validation = (
        data.rows(signals, text.record.trained_until, period, track)
        for period in (periods.ranker, periods.validation)
    )
    scorer = fit_scorer(data.config, ranker, validation, FULL, seed)
    return _Judge(data, text.model, scorer.ranker, validation)


def sample_texts(texts: pl.Series, count: int, seed: int) -> list[str]:
    """Draw distinct texts of the catalogue; fewer than `count` when there are fewer."""
    distinct = texts.filter(texts != "").unique().sort().to_list()
    picked = np.random.default_rng(seed).permutation(len(distinct))[:count]
    return [distinct[place] for place in picked]


def _speeds(
    encoders: Mapping[Backend, Encoder], texts: Sequence[str], track: Track
) -> dict[Backend, float]:
    """Time the backends in turns, so that noise hits all alike; the best round counts."""
    best = dict.fromkeys(encoders, np.inf)
    for _ in track(range(_ROUNDS), "Timing backends", _ROUNDS):
        for backend, encoder in encoders.items():
            started = perf_counter()
            encoder.encode(texts)
            best[backend] = min(best[backend], perf_counter() - started)
    return {backend: len(texts) / seconds for backend, seconds in best.items()}
