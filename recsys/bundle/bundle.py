"""A bundle: everything a server needs to rank, in one folder, refused when anything does not fit.

manifest.json            versions, fingerprints, cut-offs, hashes of all other files
recsys.toml              the workspace's configuration
encoder/                 weights (safetensors) and tokenizer
text_training.json       how the text model was trained, with its learning curve
interest.safetensors     the catalogue in the space of matches, and the head
queries.parquet          the known queries with their vectors
full.txt, no_text.txt    the rankers with and without text (LightGBM's text format)
calibration.safetensors  score to probability, of both; not there where slates were sampled
*_calibration.txt        what the slate adds to its log odds (LightGBM's text format), where trees
                         told later requests better
state/                   counters, histories, co-visitation and catalogue as of the cut-off
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.array_file import ArrayFormat
from data_contracts.errors import BundleError
from features.arrays.clock import HOUR
from features.batch.state_files import load_state
from features.online.executor import OnlineFeatures
from recsys.bundle.manifest import COPY_AGAIN, Manifest, file_hashes, read_manifest
from recsys.ranker.calibration import Calibration, ScoreCurve
from recsys.ranker.ranker import TEXT_COLUMNS, Ranker
from recsys.text.interest import InterestTable
from recsys.text.settings import TextSettings
from recsys.text.signals import TextSignals
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, read_config
from recsys.workspace.feature_sets import features_of

ENCODER, STATE = "encoder", "state"
INTEREST, QUERIES = "interest.safetensors", "queries.parquet"
CALIBRATION = "calibration.safetensors"
INTEREST_FORMAT = ArrayFormat("an interest table", 2, COPY_AGAIN, BundleError)
CALIBRATION_FORMAT = ArrayFormat("calibrations of a bundle", 3, COPY_AGAIN, BundleError)
TEXT_RECORD = "text_training.json"
FULL, NO_TEXT = "full", "no_text"
SLATE_TREES = "_calibration.txt"
SILENCE = HOUR
"""How far a request may move the clock beyond the last event; docs/decisions has the reason."""
WEIGHTS, POINTS = "weights.", ("scores", "probabilities")


@dataclass(frozen=True)
class Scorer:
    """A ranker with its calibration.

    Attributes:
        ranker: The ranker.
        calibration: Its score to a probability; None where slates were sampled, since how often a
            candidate was taken there says how they were sampled.
    """

    ranker: Ranker
    calibration: Calibration | None


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory, ready to rank.

    Attributes:
        folder: Where it was read from.
        manifest: What it says of itself.
        config: The workspace's configuration.
        features: Features of a request; they begin as of the cut-off, and events move them on.
        signals: The catalogue as the text model sees it.
        queries: Text vectors of the queries known in training, float32 [dim] each.
        full: The ranker with text.
        no_text: The ranker without.
    """

    folder: Path
    manifest: Manifest
    config: WorkspaceConfig
    features: OnlineFeatures
    signals: TextSignals
    queries: Mapping[str, np.ndarray]
    full: Scorer
    no_text: Scorer

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.manifest.name

    @property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return self.manifest.fingerprint

    @property
    def encoder_folder(self) -> Path:
        """Where the encoder's weights and tokenizer are."""
        return self.folder / ENCODER

    @cached_property
    def item_ids(self) -> Sequence[str]:
        """The items of the catalogue."""
        return self.features.catalogue.item_ids

    @cached_property
    def user_ids(self) -> Sequence[str]:
        """The users of the log."""
        return list(self.features.users)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle after checking that it is whole and that its parts belong together.

    Args:
        folder: The bundle.

    Returns:
        The bundle, ready to rank.

    Raises:
        BundleError: A file is missing, added or changed, or a part does not fit the others.
    """
    manifest = read_manifest(folder)
    _require_files(folder, manifest)
    config = read_config(folder / CONFIG_NAME)
    features = features_of(config)
    _require_same("feature schema", manifest.schema_hash, features.schema_hash)
    state, catalogue, users = load_state(folder / STATE, features)
    signals = _read_signals(folder, config.text)
    _require_same("number of items", str(len(signals.interest.items)), str(len(catalogue)))
    queries = _read_queries(folder)
    calibrations = _read_calibrations(folder) if config.slate_source == "logged" else {}
    names = tuple(features.names)
    return Bundle(
        folder,
        manifest,
        config,
        OnlineFeatures.hydrate(state, catalogue, users, features, config.features, silence=SILENCE),
        signals,
        queries,
        _scorer(folder, FULL, (*names, *TEXT_COLUMNS), calibrations.get(FULL)),
        _scorer(folder, NO_TEXT, names, calibrations.get(NO_TEXT)),
    )


def _read_signals(folder: Path, settings: TextSettings) -> TextSignals:
    """Map the catalogue into memory; what is small, or read as a whole, is copied."""
    with INTEREST_FORMAT.reading(folder / INTEREST) as file:
        items, past, logits = file.mapped("items"), file.mapped("past"), file.array("logits")
        table = InterestTable(items, past, logits, file.part(WEIGHTS))
    return TextSignals(table, settings.history)


def _read_queries(folder: Path) -> dict[str, np.ndarray]:
    try:
        queries = pl.read_parquet(folder / QUERIES)
        return dict(zip(queries["query"].to_list(), queries["vector"].to_numpy(), strict=True))
    except pl.exceptions.PolarsError as error:
        raise BundleError(f"{QUERIES}: {error}", "queries and vectors", COPY_AGAIN) from error


def _read_calibrations(folder: Path) -> dict[str, Calibration]:
    with CALIBRATION_FORMAT.reading(folder / CALIBRATION) as file:
        return {
            name: Calibration(
                ScoreCurve(*(file.array(f"{name}/{part}") for part in POINTS)),
                Ranker.load(path) if (path := folder / f"{name}{SLATE_TREES}").exists() else None,
            )
            for name in (FULL, NO_TEXT)
        }


def _scorer(
    folder: Path, name: str, columns: tuple[str, ...], calibration: Calibration | None
) -> Scorer:
    ranker = Ranker.load(folder / f"{name}.txt")
    _require_same(f"columns of {name}.txt", ", ".join(ranker.names), ", ".join(columns))
    return Scorer(ranker, calibration)


def _require_same(what: str, found: str, expected: str) -> None:
    if found != expected:
        raise BundleError(
            f"{what} {found}", f"{expected}", "train the bundle with this version of recsys"
        )


def _require_files(folder: Path, manifest: Manifest) -> None:
    found = file_hashes(folder)
    missing = sorted(manifest.files.keys() - found.keys())
    added = sorted(found.keys() - manifest.files.keys())
    changed = sorted(
        name for name, digest in manifest.files.items() if found.get(name, digest) != digest
    )
    faults = [
        f"{what} {', '.join(names)}"
        for what, names in (("missing", missing), ("changed", changed), ("not its own", added))
        if names
    ]
    if faults:
        raise BundleError(
            f"in {folder}: {'; '.join(faults)}",
            "exactly the files of the manifest, with their hashes",
            COPY_AGAIN,
        )
