from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from data_contracts.errors import DataError, LeakError
from data_contracts.slates import Rung, Slate
from features.backfill.rows import MANIFEST
from features.backfill.run import Scope
from recsys.bundle.bundle import CALIBRATION, Bundle, load_bundle
from recsys.evaluation.evaluate import evaluate
from recsys.labels.split import Periods
from recsys.rank import rank
from recsys.ranker.ranker import TEXT_COLUMNS
from recsys.reports.evaluation import render_html
from recsys.training.data import TrainingData
from recsys.training.text_model import train_text
from recsys.training.texts import Texts, encode_texts
from recsys.training.train import train
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.config import CONFIG_NAME, write_config
from recsys.workspace.workspace import Workspace
from tests.worlds import FailingTrack, InterruptionError, listing

PICKLE_ENDINGS = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".npy", ".npz", ".py"}


@pytest.fixture(scope="module")
def split(trained_workspace: Workspace) -> Periods:
    config = trained_workspace.config
    return config.periods


def test_an_encoder_that_saw_the_rankers_own_window_is_refused(
    tiny_data: TrainingData, split: Periods
) -> None:
    """Trains the text model on the ranker's period on purpose."""
    leaking = train_text(tiny_data, split.ranker)
    with pytest.raises(LeakError) as refusal:
        tiny_data.rows(tiny_data.signals(leaking.model), leaking.record.trained_until, split.ranker)
    assert split.ranker.start is not None
    shown = tiny_data.workspace.scan("impressions").filter(
        split.ranker.contains(pl.col("timestamp"))
    )
    first = shown.select(pl.col("timestamp").min()).collect().item()
    seen = datetime.fromtimestamp(leaking.record.trained_until / 1e6, UTC)
    assert seen > first >= split.ranker.start
    assert f"{seen:%Y-%m-%d %H:%M:%S}" in refusal.value.found
    assert f"{first:%Y-%m-%d %H:%M:%S}" in refusal.value.found


def test_an_encoder_of_its_own_period_may_score_the_rankers_rows(
    tiny_data: TrainingData, split: Periods
) -> None:
    honest = train_text(tiny_data, split.text)
    signals = tiny_data.signals(honest.model)
    rows = tiny_data.rows(signals, honest.record.trained_until, split.ranker)
    assert honest.record.trained_until <= rows.slates.rows.request_time[0]
    assert len(rows.matrix) == len(rows.text) == len(rows.slates.rows) == rows.requests.frame.height
    wide = rows.for_ranker(with_text=True)
    assert wide.matrix.shape[1] == rows.matrix.shape[1] + len(TEXT_COLUMNS)
    assert wide.sizes.sum() == len(wide.grade) == len(wide.position)


def test_every_cut_off_lies_before_what_it_must_not_see(
    tiny_bundle: Bundle, trained_workspace: Workspace, split: Periods
) -> None:
    window = trained_workspace.config.labels.attribution_window
    cuts = tiny_bundle.manifest.cut_offs
    assert cuts.text_trained_until <= cuts.ranker_from < cuts.ranker_until
    assert split.text.end is not None
    assert split.ranker.end is not None
    assert split.validation.end is not None
    assert split.text.end < cuts.text_trained_until < split.text.end + window
    assert split.ranker.end < cuts.ranker_until < split.ranker.end + window
    assert split.validation.end < cuts.validation_until < split.validation.end + window
    assert cuts.validation_until < tiny_bundle.as_of


def test_the_bundle_holds_no_code(tiny_bundle_folder: Path) -> None:
    files = [path for path in tiny_bundle_folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert path.suffix not in PICKLE_ENDINGS
        head = path.read_bytes()[:9]
        # The length of a safetensors header, a number of 8 bytes, may begin as a pickle does; no
        # pickle goes on with zeros.
        if head[2:] != b"\0\0\0\0\0\0{":
            assert not (head[:1] == b"\x80" and head[1:2] <= b"\x05"), path


def test_the_manifest_tells_what_it_was_made_from(
    tiny_bundle: Bundle, trained_workspace: Workspace, tiny_texts: Texts
) -> None:
    manifest, config = tiny_bundle.manifest, trained_workspace.config
    assert (manifest.data, manifest.data_origin) == (config.name, "simulated")
    assert manifest.slate_source == config.slate_source
    assert manifest.encoder_fingerprint == tiny_texts.encoder.fingerprint
    assert manifest.features == list(tiny_bundle.no_text.ranker.names)
    assert set(manifest.metrics) == {"full", "no_text"}
    assert all(0 < value < 1 for value in manifest.metrics.values())


@pytest.mark.parametrize("label", ["Fine-tuning the text model", "Training rankers"])
def test_training_that_fails_midway_leaves_the_old_bundle_and_nothing_else(
    tiny_workspace: Workspace, label: str
) -> None:
    before = listing(tiny_workspace.root)
    track = FailingTrack(label, [])
    with pytest.raises(InterruptionError):
        train(TrainingData.open(tiny_workspace), track=track)
    assert listing(tiny_workspace.root) == before
    load_bundle(tiny_workspace.bundle())


def test_writing_that_fails_midway_leaves_the_old_bundle_and_nothing_else(
    tiny_workspace: Workspace,
) -> None:
    """A folder in the state cannot be copied into the bundle, after all else was written."""
    (tiny_workspace.state / "zz").mkdir()
    before = listing(tiny_workspace.root)
    with pytest.raises(IsADirectoryError):
        train(TrainingData.open(tiny_workspace))
    assert listing(tiny_workspace.root) == before
    load_bundle(tiny_workspace.bundle())


def test_a_backfill_that_fails_midway_is_done_again(tiny_workspace: Workspace) -> None:
    log = open_workspace_log(tiny_workspace)
    rows = sorted((tiny_workspace.rows).iterdir())
    content = [path.read_bytes() for path in rows]
    failing, scope = FailingTrack("Computing features", []), Scope(again=True)
    with pytest.raises(InterruptionError):
        run_backfill(tiny_workspace, log, scope=scope, track=failing)
    assert not (tiny_workspace.rows / MANIFEST).exists()
    assert [path for path in tiny_workspace.features.iterdir() if path.name[0] == "."] == []
    run_backfill(tiny_workspace, log)
    assert [path.read_bytes() for path in rows] == content


def test_features_are_computed_again_only_when_something_changed(
    tiny_workspace: Workspace,
) -> None:

    def computed(workspace: Workspace) -> bool:
        track = FailingTrack(None, [])
        run_backfill(workspace, open_workspace_log(workspace), track=track)
        return bool(track.seen)

    assert not computed(tiny_workspace)
    config = tiny_workspace.config
    text = config.text.model_copy(update={"steps": 1})
    write_config(config.model_copy(update={"text": text}), tiny_workspace.root / CONFIG_NAME)
    assert not computed(Workspace.open(tiny_workspace.root))
    features = config.features.model_copy(update={"smoothing": 5.0})
    write_config(
        config.model_copy(update={"features": features}), tiny_workspace.root / CONFIG_NAME
    )
    changed = Workspace.open(tiny_workspace.root)
    assert computed(changed)
    assert not computed(changed)
    table = Path(changed.location("interactions"))
    pl.read_parquet(table).head(300).write_parquet(table)
    assert computed(changed)


def test_features_of_other_impressions_are_refused(
    tiny_workspace: Workspace, tiny_texts: Texts, tiny_bundle: Bundle, split: Periods
) -> None:
    table = Path(tiny_workspace.location("impressions"))
    frame = pl.read_parquet(table)
    tested = frame.filter(split.test.contains(pl.col("timestamp")))["request_id"][0]
    frame.filter(pl.col("request_id") != tested).write_parquet(table)
    data = TrainingData(tiny_workspace, open_workspace_log(tiny_workspace), tiny_texts)
    with pytest.raises(DataError, match="recsys backfill"):
        data.rows(tiny_bundle.signals, 0, split.test)


def test_the_same_seed_gives_the_same_bundle(
    tiny_workspace: Workspace, tiny_bundle: Bundle
) -> None:
    track = FailingTrack(None, [])
    data = TrainingData.open(tiny_workspace, track)
    again = load_bundle(train(data, track=track))
    assert "Encoding texts" not in track.seen
    assert "Computing features" not in track.seen
    same = again.manifest.files
    assert same == tiny_bundle.manifest.files
    assert again.fingerprint == tiny_bundle.fingerprint
    assert again.version.name == tiny_bundle.version.name
    other = load_bundle(train(data, seed=1))
    assert other.name == "seed-1"
    assert other.folder.parent.parent == tiny_workspace.bundle(1)
    assert other.manifest.files["interest.safetensors"] != same["interest.safetensors"]
    assert other.manifest.files["encoder/model.safetensors"] == same["encoder/model.safetensors"]


@pytest.mark.slow
def test_a_bundle_of_sampled_slates_tells_no_probability(tiny_workspace: Workspace) -> None:
    config = tiny_workspace.config
    ranker = config.ranker.model_copy(update={"position_bias": None})
    sampled = config.model_copy(update={"slate_source": "sampled", "ranker": ranker})
    write_config(sampled, tiny_workspace.root / CONFIG_NAME)
    data = TrainingData.open(Workspace.open(tiny_workspace.root))
    bundle = load_bundle(train(data))
    assert not (bundle.version.model / CALIBRATION).exists()
    slate = Slate("r", list(bundle.item_ids[:9]), bundle.as_of)
    rungs: tuple[Rung, ...] = ("full", "no_text")
    for rung in rungs:
        assert rank(bundle, slate, {}, rung=rung).p_click is None
    result = evaluate(data, [bundle.folder], "")
    assert (result.calibration, result.log_loss) == ((), None)
    assert "No probability is told on sampled slates" in render_html(result)


def test_only_new_texts_are_encoded(tiny_workspace: Workspace) -> None:
    table = Path(tiny_workspace.location("items"))
    items = pl.read_parquet(table)
    first = pl.int_range(pl.len()) == 0
    items.with_columns(
        pl.when(first).then(pl.lit("Something new")).otherwise("title").alias("title")
    ).write_parquet(table)
    (cache,) = tiny_workspace.cache.iterdir()
    before = listing(cache)
    texts = encode_texts(tiny_workspace, open_workspace_log(tiny_workspace).catalogue)
    (added,) = listing(cache).keys() - before.keys()
    assert before.items() <= listing(cache).items()
    assert len(load_file(cache / added)["keys"]) == 1
    assert np.isfinite(texts.vectors.items).all()
