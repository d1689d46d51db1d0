"""A bundle: everything a server needs to rank, in one folder, refused when anything does not fit.

A version of it (`versions.py`) has two parts, each with a manifest that hashes all its other files.

model/                     what was learned
  recsys.toml              the workspace's configuration
  encoder/                 weights (safetensors) and tokenizer
  text_training.json       how the text model was trained, with its learning curve
  interest.safetensors     the texts in the space of matches by name, and the head
  values.json              the values that the rankers know by code
  full.txt, no_text.txt    the rankers with and without text (LightGBM's text format)
  calibration.safetensors  score to probability, of both; not there where slates were sampled
  *_calibration.txt        what the slate adds to its log odds (LightGBM's text format), where
                           trees told later requests better
state/                     what users did
  state.safetensors        counters, histories, co-visitation and catalogue as of the cut-off
  queries.parquet          the known queries with their vectors
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.array_file import ArrayFormat
from data_contracts.errors import BundleError
from features.arrays.clock import HOUR
from features.arrays.key_index import MISSING
from features.batch.state_files import load_state
from features.log.item_columns import TEXT
from features.online.executor import OnlineFeatures
from recsys.bundle.manifest import COPY_AGAIN, TRAIN_AGAIN, Manifest, StateManifest, file_hashes
from recsys.bundle.versions import Version, open_version
from recsys.ranker.calibration import Calibration, ScoreCurve
from recsys.ranker.codes import KnownCodes
from recsys.ranker.ranker import TEXT_COLUMNS, Ranker
from recsys.text.interest import Grown, InterestTable
from recsys.text.settings import TextSettings
from recsys.text.signals import TextSignals
from recsys.text.template import item_texts, text_keys
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, read_config
from recsys.workspace.feature_sets import features_of

ENCODER = "encoder"
INTEREST, QUERIES = "interest.safetensors", "queries.parquet"
CALIBRATION, VALUES = "calibration.safetensors", "values.json"
INTEREST_FORMAT = ArrayFormat("an interest table", 3, COPY_AGAIN, BundleError)
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
        version: Which version it is, and what that says of itself.
        config: The workspace's configuration.
        features: Features of a request; they begin as of the cut-off, and events move them on.
        signals: The texts as the text model sees them, and which are the catalogue's.
        codes: What the codes of the features mean to the rankers.
        queries: Text vectors of the queries known in training, float32 [dim] each.
        full: The ranker with text.
        no_text: The ranker without.
    """

    version: Version
    config: WorkspaceConfig
    features: OnlineFeatures
    signals: TextSignals
    codes: KnownCodes
    queries: Mapping[str, np.ndarray]
    full: Scorer
    no_text: Scorer

    @property
    def folder(self) -> Path:
        """The version's folder."""
        return self.version.folder

    @property
    def manifest(self) -> Manifest:
        """What the model says of itself."""
        return self.version.manifest

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.manifest.name

    @property
    def fingerprint(self) -> str:
        """Hash of the content of model and state."""
        return self.version.fingerprint

    @property
    def as_of(self) -> datetime:
        """The cut-off: histories and counters begin with all before this."""
        return self.version.state_manifest.as_of

    @property
    def encoder_folder(self) -> Path:
        """Where the encoder's weights and tokenizer are."""
        return self.version.model / ENCODER

    @property
    def item_ids(self) -> Sequence[str]:
        """The items in the order of their codes."""
        return self.features.catalogue.item_ids

    @cached_property
    def known_items(self) -> Sequence[str]:
        """The items that were known at the cut-off, in the order of their codes."""
        catalogue = self.features.catalogue
        codes = np.arange(len(catalogue), dtype=np.int32)
        known = catalogue.versions(codes, np.array([int(self.as_of.timestamp() * 1e6)]))
        return [catalogue.item_ids[code] for code in np.flatnonzero(known >= 0)]

    def version_of(self, item_id: str) -> int:
        """Version of an item as of the clock; negative for one that is unknown."""
        catalogue = self.features.catalogue
        return catalogue.version_of(catalogue.index.get(item_id, MISSING), self.features.clock)

    def has_text(self, item_id: str) -> bool:
        """Whether there is a vector of the text that an item has as of the clock."""
        version = self.version_of(item_id)
        texts = self.features.catalogue.attributes[TEXT]
        return version >= 0 and bool(self.signals.rows_of(texts[version : version + 1])[0] >= 0)

    def add_items(self, records: pl.DataFrame) -> dict[str, str]:
        """Add records of items, new items or new versions; each counts once it is known.

        Args:
            records: A table that keeps the contract of items, with the declared attributes.

        Returns:
            Texts that have no vector yet, by name: `signals.learn` takes their vectors.
        """
        settings = self.config.text
        texts = item_texts(records, settings.template, settings.limits)
        keys = text_keys(records, settings)
        self.features.fold_items(records.with_columns(keys.alias(TEXT)))
        both = zip(keys.to_list(), texts.to_list(), strict=True)
        return {key: text for key, text in both if key is not None and key not in self.signals.rows}

    @cached_property
    def learned(self) -> Mapping[str, Sequence[str]]:
        """Values of the columns of items that the rankers know by code."""
        return _read_values(self.version.model)

    @cached_property
    def user_ids(self) -> Sequence[str]:
        """The users of the log."""
        return list(self.features.users)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle after checking that it is whole and that its parts belong together.

    Args:
        path: The bundle, whose alias is read once, or one of its versions.

    Returns:
        The bundle, ready to rank.

    Raises:
        BundleError: There is no such version; a file is missing, added or changed; or a part does
            not fit the others.
    """
    version = open_version(path)
    folder, manifest, told = version.model, version.manifest, version.state_manifest
    _require_files(folder, manifest)
    _require_files(version.state, told)
    config = read_config(folder / CONFIG_NAME)
    features = features_of(config)
    _require_same("feature schema", manifest.schema_hash, features.schema_hash)
    _require_same(f"feature schema of {version.state}", told.schema_hash, features.schema_hash)
    of_queries = f"encoder of the queries in {version.state}"
    _require_same(of_queries, told.encoder_fingerprint, manifest.encoder_fingerprint)
    state, catalogue, users = load_state(version.state, features)
    online = OnlineFeatures.hydrate(
        state, catalogue, users, features, config.features, silence=SILENCE
    )
    signals = _read_signals(folder, online.text_codes, config.text)
    codes = KnownCodes.of(features, _read_values(folder), catalogue.values)
    queries = _read_queries(version.state)
    calibrations = _read_calibrations(folder) if config.slate_source == "logged" else {}
    names = tuple(features.names)
    return Bundle(
        version,
        config,
        online,
        signals,
        codes,
        queries,
        _scorer(folder, FULL, (*names, *TEXT_COLUMNS), calibrations.get(FULL)),
        _scorer(folder, NO_TEXT, names, calibrations.get(NO_TEXT)),
    )


def _read_signals(folder: Path, codes: Mapping[str, int], settings: TextSettings) -> TextSignals:
    """Map the texts into memory; what is small, or read as a whole, is copied."""
    with INTEREST_FORMAT.reading(folder / INTEREST) as file:
        table = InterestTable(
            Grown(file.mapped("items")),
            Grown(file.mapped("past")),
            Grown(file.array("logits")),
            file.part(WEIGHTS),
        )
        signals = TextSignals.of(table, file.strings("keys"), settings.history)
    return signals.of_catalogue(codes)


def _read_values(folder: Path) -> dict[str, list[str]]:
    try:
        values: dict[str, list[str]] = json.loads((folder / VALUES).read_bytes())
    except ValueError as error:
        raise BundleError(f"{VALUES}: {error}", "values by column", COPY_AGAIN) from error
    return values


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
        raise BundleError(f"{what} {found}", expected, TRAIN_AGAIN)


def _require_files(folder: Path, manifest: Manifest | StateManifest) -> None:
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
