import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from data_contracts.errors import BundleError, RecsysError
from data_contracts.slates import Slate
from features.batch.state_files import STATE_FILE
from recsys.bundle.bundle import (
    CALIBRATION,
    ENCODER,
    FULL,
    INTEREST,
    NO_TEXT,
    QUERIES,
    SLATE_TREES,
    Bundle,
    Scorer,
    load_bundle,
)
from recsys.bundle.manifest import FORMAT, MANIFEST, STATE_FORMAT
from recsys.bundle.versions import MODEL, STATE
from recsys.bundle.write import save_calibrations
from recsys.rank import rank
from recsys.ranker.calibration import fit_calibration
from recsys.text.encoder.bert import TextEncoder
from recsys.workspace.config import CONFIG_NAME
from tests.worlds import stamp_again, tamper


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def within_a_line(content: bytes) -> bytes:
    return content[: content.index(b"=", len(content) // 2) + 1]


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_field(name: str, value: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | {name: value}).encode()


def without_field(name: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        fields = json.loads(content)
        del fields[name]
        return json.dumps(fields).encode()

    return change


def require_refusal(folder: Path, *named: str) -> None:
    with pytest.raises(BundleError) as refusal:
        load_bundle(folder)
    error = refusal.value
    assert error.expected
    assert error.action
    for word in named:
        assert word in str(error)


def test_loading_twice_gives_the_same_scores(tiny_bundle: Bundle, changed_bundle: Path) -> None:
    again = load_bundle(changed_bundle)
    slate = Slate(
        "r",
        list(tiny_bundle.item_ids),
        tiny_bundle.as_of,
        user_id=tiny_bundle.user_ids[0],
    )
    first, second = (rank(bundle, slate, {}) for bundle in (tiny_bundle, again))
    assert first.item_ids == second.item_ids
    np.testing.assert_array_equal(first.scores, second.scores)
    assert again.fingerprint == tiny_bundle.fingerprint


def test_the_catalogue_is_mapped_from_the_file_and_not_copied(changed_bundle: Path) -> None:
    table = load_bundle(changed_bundle).signals.interest
    expected = load_file(changed_bundle / MODEL / INTEREST)
    for name, array in (("items", table.items.base), ("past", table.past.base)):
        np.testing.assert_array_equal(array, expected[name])
        assert type(array) is np.ndarray
        base: object = array
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)
        assert not array.flags.writeable
    assert len(table.logits) == len(expected["items"])


def test_the_encoder_inside_is_the_one_of_the_manifest(tiny_bundle: Bundle) -> None:
    encoder = TextEncoder.load(
        tiny_bundle.encoder_folder, max_tokens=tiny_bundle.config.text.max_tokens
    )
    assert encoder.fingerprint == tiny_bundle.manifest.encoder_fingerprint


@pytest.mark.parametrize(
    ("part", "name"),
    [(MODEL, INTEREST), (MODEL, CONFIG_NAME), (MODEL, f"{FULL}.txt"), (STATE, QUERIES)],
)
def test_a_missing_file_is_named(changed_bundle: Path, part: str, name: str) -> None:
    (changed_bundle / part / name).unlink()
    require_refusal(changed_bundle, "missing", part, name)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (MODEL, INTEREST),
        (MODEL, CALIBRATION),
        (MODEL, f"{FULL}.txt"),
        (MODEL, f"{ENCODER}/model.safetensors"),
        (MODEL, f"{ENCODER}/tokenizer.json"),
        (MODEL, CONFIG_NAME),
        (STATE, STATE_FILE),
        (STATE, QUERIES),
    ],
)
@pytest.mark.parametrize("change", [flip_a_byte, half])
def test_a_changed_file_is_named(
    changed_bundle: Path, part: str, name: str, change: Callable[[bytes], bytes]
) -> None:
    tamper(changed_bundle / part / name, change)
    require_refusal(changed_bundle, "changed", f"{changed_bundle / part}:", name)


@pytest.mark.parametrize("part", [MODEL, STATE])
@pytest.mark.parametrize("name", ["extra.pkl", ".hidden"])
def test_an_added_file_is_named(changed_bundle: Path, part: str, name: str) -> None:
    (changed_bundle / part / name).write_bytes(b"")
    require_refusal(changed_bundle, "not its own", f"{changed_bundle / part}:", name)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (half, "JSON"),
        (lambda _: b"", "JSON"),
        (lambda _: b"\xff\xfe", "JSON"),
        (lambda _: b"[]", "format"),
        (with_field("format", FORMAT - 1), f"format {FORMAT - 1}"),
        (with_field("format", FORMAT + 1), f"format {FORMAT + 1}"),
        (with_field("seed", "many"), "seed"),
        (with_field("unheard_of", 1), "unheard_of"),
        (without_field("cut_offs"), "cut_offs"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    changed_bundle: Path, change: Callable[[bytes], bytes], named: str
) -> None:
    tamper(changed_bundle / MODEL / MANIFEST, change)
    require_refusal(changed_bundle, named)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (half, "JSON"),
        (with_field("format", STATE_FORMAT + 1), f"format {STATE_FORMAT + 1}"),
        (without_field("log_offset"), "log_offset"),
        (with_field("schema_hash", "another"), "schema"),
        (with_field("encoder_fingerprint", "another"), "encoder of the queries"),
    ],
)
def test_a_manifest_of_a_state_that_does_not_fit_is_refused(
    changed_bundle: Path, change: Callable[[bytes], bytes], named: str
) -> None:
    tamper(changed_bundle / STATE / MANIFEST, change)
    require_refusal(changed_bundle, named, STATE)


@pytest.mark.parametrize("part", [MODEL, STATE])
def test_a_part_without_a_manifest_is_none(changed_bundle: Path, part: str) -> None:
    (changed_bundle / part / MANIFEST).unlink()
    require_refusal(changed_bundle, f"no {MANIFEST} in {changed_bundle / part}")


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        (CONFIG_NAME, lambda text: text.replace(b"smoothing = 20.0", b"smoothing = 3.0"), "schema"),
        (INTEREST, half, "safetensors"),
        (INTEREST, lambda content: content.replace(b'"past"', b'"pass"'), "past"),
        (STATE_FILE, half, STATE_FILE),
        (f"{FULL}.txt", lambda _: b"no model", "LightGBM"),
        (f"{FULL}.txt", lambda text: text.replace(b"interest_match", b"interest_watch"), "columns"),
        (QUERIES, half, QUERIES),
        (CALIBRATION, half, CALIBRATION),
        (CALIBRATION, lambda _: b"{}", CALIBRATION),
        (CONFIG_NAME, within_a_line, CONFIG_NAME),
    ],
)
def test_parts_that_do_not_fit_are_refused_even_when_the_hashes_do(
    changed_bundle: Path, name: str, change: Callable[[bytes], bytes], named: str
) -> None:
    path = changed_bundle / (STATE if name in {QUERIES, STATE_FILE} else MODEL) / name
    before = path.read_bytes()
    tamper(path, change)
    assert path.read_bytes() != before
    stamp_again(changed_bundle)
    with pytest.raises(RecsysError) as refusal:
        load_bundle(changed_bundle)
    assert named in str(refusal.value)


def test_trees_of_the_slate_are_read_again_and_asked(
    tiny_bundle: Bundle, changed_bundle: Path
) -> None:
    random, sizes = np.random.default_rng(0), np.full(2_000, 10)
    scorers = {}
    for name, scorer in ((FULL, tiny_bundle.full), (NO_TEXT, tiny_bundle.no_text)):
        names = scorer.ranker.names
        matrix = random.normal(size=(20_000, len(names))).astype(np.float32)
        scores = scorer.ranker.score(matrix)
        slate = np.repeat(random.random(2_000), sizes)
        matrix[:, 0] = slate
        positive = random.random(20_000) < slate / 2
        scorers[name] = Scorer(
            scorer.ranker, fit_calibration(scores, matrix, sizes, positive, names)
        )
    save_calibrations(scorers, changed_bundle / MODEL)
    stamp_again(changed_bundle)
    bundle = load_bundle(changed_bundle)
    assert (changed_bundle / MODEL / f"{FULL}{SLATE_TREES}").exists()
    for name, found in ((FULL, bundle.full), (NO_TEXT, bundle.no_text)):
        before, again = scorers[name].calibration, found.calibration
        assert before is not None
        assert again is not None
        rows = random.normal(size=(10, len(found.ranker.names))).astype(np.float32)
        given = found.ranker.score(rows), rows, sizes[:1]
        np.testing.assert_array_equal(again.probability(*given), before.probability(*given))
        assert again.trees is not None
    slate_of = Slate("r", list(bundle.item_ids[:30]), bundle.as_of)
    told = rank(bundle, slate_of, {}).p_click
    assert told is not None
    assert (np.diff(told) <= 1e-12).all()
    assert ((told > 0) & (told < 1)).all()
