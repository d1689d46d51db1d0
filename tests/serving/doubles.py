"""A model and an encoder with known answers, so that the service is tested without a bundle."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_contracts.slates import RankedSlate, Rung, Slate
from serving.ranking.model import LoadedEncoder
from serving.settings import ServiceSettings
from serving.wire.slates import Declared

KNOWN = [f"item-{index:04d}" for index in range(2000)]
_KNOWN_SET = frozenset(KNOWN)
DIM = 8
SLOW_WORD = "slow"
FINGERPRINT = "f" * 16


def item_score(item_id: str) -> float:
    """The score of a known item: its number; -1 for an unknown one."""
    return float(item_id.removeprefix("item-")) if item_id.startswith("item-") else -1.0


@dataclass
class FakeModel:
    """Ranks by item number; an inline text's score is the first entry of its vector.

    Attributes:
        broken: Rungs on which ranking fails.
        slow_ms: Milliseconds a rung takes.
        asked: The rungs it was asked for.
        explained: How many explanations it was asked for, by call.
    """

    broken: frozenset[Rung] = frozenset()
    slow_ms: dict[Rung, float] = field(default_factory=dict)
    asked: list[Rung] = field(default_factory=list)
    explained: list[int] = field(default_factory=list)
    name: str = "fake"
    version: str = "fake version"
    fingerprint: str = FINGERPRINT
    schema_hash: str = "5" * 16

    @property
    def declared(self) -> Declared:
        return Declared(frozenset({"retrieval"}), frozenset({"device"}))

    def summary(self) -> dict[str, object]:
        return {"format": 1}

    def sample_items(self, count: int) -> Sequence[str]:
        return KNOWN[:count]

    def sample_users(self, count: int) -> Sequence[str]:
        return ["someone"][:count]

    def texts_to_encode(self, slate: Slate) -> list[str]:
        texts = (
            text
            for item, text in zip(slate.item_ids, slate.texts, strict=True)
            if text is not None and item not in _KNOWN_SET
        )
        return list(dict.fromkeys(texts))

    def rank(
        self, slate: Slate, vectors: Mapping[str, np.ndarray], *, rung: Rung, explain: int
    ) -> RankedSlate:
        self.asked.append(rung)
        self.explained.append(explain)
        time.sleep(self.slow_ms.get(rung, 0) / 1e3)
        if rung in self.broken:
            raise RuntimeError(f"broken on {rung} for {slate.user_id}")
        unknown = [item for item in slate.item_ids if item not in _KNOWN_SET]
        scores = np.array([item_score(item) for item in slate.item_ids])
        match = np.full(len(scores), np.nan, dtype=np.float32)
        for index, text in enumerate(slate.texts):
            if text is not None and text in vectors:
                match[index] = scores[index] = vectors[text][0]
        if rung == "given_order":
            scores = -np.arange(len(scores), dtype=np.float64)
        order = np.argsort(-scores, kind="stable")
        return RankedSlate(
            item_ids=[slate.item_ids[index] for index in order],
            scores=scores[order],
            p_click=None if rung == "given_order" else 1 / (1 + np.exp(-scores[order] / 1000)),
            interest_match=match[order] if rung in {"full", "cached_text"} else None,
            rung=rung,
            unknown_items=unknown,
            features=None if rung == "given_order" else np.stack([scores, match], 1)[order],
            contributions=[{"number": scores[at]} for at in order[:explain]] if explain else None,
            timings_ms={"features": 0.1, "match": 0.2, "score": 0.3},
        )


@dataclass
class FakeEncoder:
    """A text's vector is its length, DIM times; a text with SLOW_WORD takes a second.

    Attributes:
        batches: The texts of every call.
    """

    batches: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(list(texts))
        if any(SLOW_WORD in text for text in texts):
            time.sleep(1)
        lengths = np.array([len(text) for text in texts], dtype=np.float32)
        return np.repeat(lengths[:, None], DIM, axis=1)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) + 2 for text in texts], dtype=np.int64)


def load_model(settings: ServiceSettings) -> FakeModel:
    """A model that needs no bundle."""
    return FakeModel()


def load_encoder(settings: ServiceSettings) -> LoadedEncoder:
    """An encoder that needs no bundle."""
    return LoadedEncoder(FakeEncoder(), FINGERPRINT)


def settings_for(port: int = 8000, **changes: object) -> ServiceSettings:
    """Settings of a small service; the bundle's folder is never opened."""
    values = {"bundle": Path("no-bundle"), "port": port, "log_to_console": False, **changes}
    return ServiceSettings.model_validate(values)
