import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from data_contracts.errors import BundleError, UsageError
from recsys.text.encoder.backends import usable_backend
from recsys.text.encoder.base import Encoder
from recsys.text.encoder.batching import RUN_COST, TokenBatch, batch_bounds, full_bounds
from recsys.text.encoder.bert import TextEncoder
from recsys.text.encoder.device import require_bfloat16, require_device
from recsys.text.encoder.onnx.encoder import OnnxEncoder
from recsys.text.encoder.onnx.export import export_onnx
from recsys.text.encoder.onnx.quantise import quantise_products, quantised_columns
from recsys.text.encoder.onnx.runtime import onnx_runtime
from recsys.text.encoder.open import open_backend
from recsys.text.encoder.open_saved import open_saved
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.encoder.tokenizer import TextTokenizer
from recsys.text.settings import TextSettings
from tests.recsys.text.encoders_made import ARCHITECTURES
from tests.test_imports import run_python
from tests.worlds import WORDS

MAX_TOKENS = 32
ODD = [
    "red scarf",
    "",
    " ",
    "\x00\x07\u200b\ufeff",
    "red\x00scarf",
    "красный шарф",
    "红色羊毛围巾",
    "🧣🧣🧣",
    "red " * 500,
    "x" * 100_000,
    "red scarf",
    "\ud800 broken",
]

OPEN_SAVED = f"""
import json, sys
from pathlib import Path
from recsys.text.encoder.open_saved import open_saved
from recsys.text.encoder.settings import EncodingSettings
from recsys.text.settings import TextSettings

text, encoding = TextSettings(max_tokens={MAX_TOKENS}), EncodingSettings(backend="onnx")
open_saved(Path(sys.argv[1]), text, encoding, sys.argv[2]).encode(["red scarf"])
print(json.dumps([name for name in ("torch", "transformers", "onnx") if name in sys.modules]))
"""


@pytest.fixture(scope="module")
def weights(tiny_encoder: Path) -> TextEncoder:
    return TextEncoder.load(tiny_encoder, max_tokens=MAX_TOKENS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=["torch", "onnx", "onnx-int8"])
def encoder(request: pytest.FixtureRequest, weights: TextEncoder, cache: Path) -> Encoder:
    return open_backend(weights, EncodingSettings(backend=request.param), cache)


def test_every_backend_gives_nearly_the_vectors_of_torch(
    encoder: Encoder, weights: TextEncoder
) -> None:
    texts = [*ODD, *(" ".join(WORDS[:count]) for count in range(1, 10))]
    found, expected = encoder.encode(texts), weights.encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    closest = 0.95 if encoder.fingerprint.endswith("int8") else 0.99999
    assert (found * expected).sum(axis=1).min() > closest
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("make", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_attention_is_one_node_a_layer_whatever_the_architecture(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    weights = TextEncoder.load(make(tmp_path / "encoder"), max_tokens=MAX_TOKENS)
    found = export_onnx(weights, tmp_path / "a.onnx", int8=False)
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    layers = weights.model.config.num_hidden_layers
    assert kinds.count("MultiHeadAttention") == layers
    assert "Softmax" not in kinds
    products = kinds.count("MatMul")
    np.testing.assert_allclose(found.encode(ODD), weights.encode(ODD), atol=1e-5)
    rounded = quantise_products(onnx.load(tmp_path / "a.onnx"))
    kinds = [node.op_type for node in rounded.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == products - layers
    values = {node.input[1] for node in rounded.graph.node if node.op_type == "MatMul"}
    made = weights.model.state_dict()
    expected = [made[name].numpy() for name in made if re.search(r"(value|v_lin)\.weight$", name)]
    constants = {tensor.name: tensor for tensor in rounded.graph.initializer}
    kept = [numpy_helper.to_array(constants[name]).T for name in values]
    assert len(kept) == len(expected) == layers
    assert all(any(np.array_equal(one, other) for other in expected) for one in kept)


def test_a_model_with_attention_of_its_own_is_exported_as_it_is(
    weights: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(weights.model), "is_backend_compatible", lambda _: False)
    found = export_onnx(weights, tmp_path / "a.onnx", int8=False)
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert kinds.count("Softmax") == weights.model.config.num_hidden_layers
    np.testing.assert_allclose(found.encode(ODD), weights.encode(ODD), atol=1e-5)


def test_a_vector_does_not_depend_on_the_texts_around_it(encoder: Encoder) -> None:
    alone = np.vstack([encoder.encode([text]) for text in ODD])
    np.testing.assert_allclose(encoder.encode(ODD), alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(ODD[::-1]), alone[::-1], atol=1e-5)
    np.testing.assert_allclose(alone[0], alone[ODD.index("red scarf", 1)], atol=1e-6)


def test_long_texts_are_cut_and_counted(encoder: Encoder) -> None:
    cut = encoder.encode_counted(ODD).cut
    assert [text[:5] for text, long in zip(ODD, cut, strict=True) if long] == ["red r", "xxxxx"]
    assert encoder.token_counts(ODD).max() <= MAX_TOKENS


def test_backends_have_fingerprints_of_their_own(weights: TextEncoder, cache: Path) -> None:
    fast = open_backend(weights, EncodingSettings(backend="onnx-int8"), cache)
    plain = open_backend(weights, EncodingSettings(backend="onnx"), cache)
    assert len({weights.fingerprint, fast.fingerprint, plain.fingerprint}) == 3
    assert open_backend(weights, EncodingSettings(), cache) is weights


def test_an_export_is_made_once_and_kept_whole(weights: TextEncoder, cache: Path) -> None:
    open_backend(weights, EncodingSettings(backend="onnx"), cache)
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    open_backend(weights, EncodingSettings(backend="onnx"), cache)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before
    assert all(path.suffix == ".onnx" for path in before)


def test_a_failed_export_leaves_nothing(
    weights: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.text.encoder.onnx.export._CLOSE", {"onnx": 2.0})
    with pytest.raises(UsageError, match="cosine"):
        export_onnx(weights, tmp_path / "a.onnx", int8=False)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_export_is_refused(weights: TextEncoder, cache: Path, tmp_path: Path) -> None:
    open_backend(weights, EncodingSettings(backend="onnx"), cache)
    whole = next(path for path in cache.iterdir() if path.stem.endswith("-onnx"))
    for content in (b"", b"no onnx", whole.read_bytes()[:-100]):
        (tmp_path / "damaged.onnx").write_bytes(content)
        with pytest.raises(BundleError, match="no encoder in"):
            OnnxEncoder.load(tmp_path / "damaged.onnx", weights.text_tokenizer)


def test_what_a_bundle_holds_is_the_same_encoder(
    encoder: Encoder, weights: TextEncoder, tmp_path: Path
) -> None:
    weights.save(tmp_path)
    backend = encoder.fingerprint.partition("-")[2] or "torch"
    if backend != "torch":
        encoder.save(tmp_path)
    text = TextSettings(max_tokens=MAX_TOKENS)
    encoding = EncodingSettings.model_validate({"backend": backend, "threads": 1})
    again = open_saved(tmp_path, text, encoding, encoder.fingerprint)
    np.testing.assert_allclose(again.encode(ODD), encoder.encode(ODD), atol=1e-6)
    with pytest.raises(BundleError, match="whose vectors"):
        open_saved(tmp_path, text, encoding, "another")


def test_an_exported_encoder_opens_and_encodes_without_torch(
    weights: TextEncoder, cache: Path, tmp_path: Path
) -> None:
    encoder = open_backend(weights, EncodingSettings(backend="onnx"), cache)
    saved = tmp_path / "saved"
    saved.mkdir()
    weights.save(saved)
    encoder.save(saved)
    done = run_python(tmp_path, OPEN_SAVED, str(saved), encoder.fingerprint)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_without_onnx_runtime_a_bundle_falls_back_to_its_weights(
    weights: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.save(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    choice = usable_backend("onnx-int8", "cpu")
    assert (choice.chosen, choice.in_use) == ("onnx-int8", "torch")
    assert "onnxruntime" in (choice.reason or "")
    settings = EncodingSettings(backend="onnx-int8")
    found = open_saved(
        tmp_path, TextSettings(max_tokens=MAX_TOKENS), settings, f"{weights.fingerprint}-onnx-int8"
    )
    assert found.fingerprint == weights.fingerprint
    with pytest.raises(UsageError, match="onnxscript"):
        open_backend(weights, settings, tmp_path)


def test_bfloat16_is_refused_where_it_would_be_emulated(
    weights: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UsageError, match="bfloat16"):
        open_backend(weights, EncodingSettings(backend="torch-bf16"), tmp_path)
    assert usable_backend("torch-bf16", "cpu").in_use == "torch"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    require_bfloat16("cpu")
    rounded = open_backend(weights, EncodingSettings(backend="torch-bf16"), tmp_path)
    cosine = (rounded.encode(["red mug"]) * weights.encode(["red mug"])).sum()
    assert 0.99 < cosine < 1 - 1e-7
    assert rounded.fingerprint != weights.fingerprint
    assert next(weights.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("name", ["cuda", "tpu of the future"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="device"):
        require_device(name)


def test_windows_and_budgets_change_nothing_but_the_batches(weights: TextEncoder) -> None:
    texts = [" ".join(WORDS[: 1 + place % 9]) for place in range(57)]
    sizes: list[int] = []

    class Counted(TextEncoder):
        window = 10

        def compute(self, batch: TokenBatch) -> np.ndarray:
            sizes.append(len(batch.places))
            return super().compute(batch)

    parts = {each.name: getattr(weights, each.name) for each in fields(weights)}
    found = Counted(**{**parts, "token_budget": 40}).encode_counted(texts)
    np.testing.assert_allclose(found.vectors, weights.encode(texts), atol=1e-5)
    assert sum(sizes) == len(texts)
    assert len(sizes) > 6


@pytest.mark.parametrize("cut", [batch_bounds, full_bounds])
def test_batches_hold_every_text_once_within_the_budget(
    cut: Callable[[np.ndarray, int], list[tuple[int, int]]],
) -> None:
    lengths = np.sort(np.random.default_rng(0).integers(1, 60, 300))[::-1]
    bounds = cut(lengths, 128)
    assert [low for low, _ in bounds] == [0, *(high for _, high in bounds[:-1])]
    assert bounds[-1][1] == len(lengths)
    assert all((high - low) * lengths[low] <= 128 for low, high in bounds)
    assert cut(np.array([500]), 128) == [(0, 1)]
    assert cut(np.zeros(0, np.int64), 128) == []


def test_no_other_batches_cost_less() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        lengths = np.sort(random.integers(1, 9, 9))[::-1]
        costs = {}
        for cuts in range(2 ** (len(lengths) - 1)):
            starts = [0, *(place for place in range(1, 9) if cuts >> (place - 1) & 1)]
            runs = list(pairwise([*starts, 9]))
            if all((high - low) * lengths[low] <= 24 for low, high in runs):
                padded = sum((high - low) * int(lengths[low]) for low, high in runs)
                costs[tuple(runs)] = padded + len(runs) * 24 * RUN_COST
        assert costs[tuple(batch_bounds(lengths, 24))] == min(costs.values())


def test_the_tokenizer_of_the_model_keeps_its_limits(weights: TextEncoder) -> None:
    before = weights.tokenizer.backend_tokenizer.to_str()
    TextTokenizer.of(weights.tokenizer, 5).tokens(["red " * 50])
    assert weights.tokenizer.backend_tokenizer.to_str() == before


def test_columns_are_rounded_to_half_a_step_and_no_sum_of_two_overflows_16_bits() -> None:
    weight = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    weight[:, 3] = 0
    rounded, scale = quantised_columns(weight)
    assert (np.abs(rounded * scale - weight) <= scale / 2 + 1e-7).all()
    # The largest sum of two products of uint8 and int8, as older CPUs add them.
    assert 2 * 255 * np.abs(rounded.astype(np.int64)).max() <= 2**15 - 1


def test_a_quantised_product_rounds_each_row_by_itself(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 8)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = quantise_products(helper.make_model(graph, opset_imports=imports, ir_version=10))
    onnx.save(model, tmp_path / "product.onnx")
    session = onnx_runtime().InferenceSession(tmp_path / "product.onnx")
    x = random.normal(size=(2, 3, 16)).astype(np.float32) * 10.0 ** random.integers(
        -3, 3, (2, 3, 1)
    )
    x = x.astype(np.float32)
    columns, scale = quantised_columns(weight)
    step = np.abs(x).max(axis=-1, keepdims=True) / 127
    expected = (np.rint(x / step) @ columns.astype(np.float64)) * step * scale
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=2e-2, atol=1e-6)
