"""How fast texts are encoded on a CPU, against what sentence-transformers' `encode` does.

Every backend encodes the same texts with the same weights on the same threads, in turns, so that
noise hits all alike. Time on the CPU is told beside time on the clock: on a machine that others use
it is the one that holds still. With a workspace, what rounding costs in nDCG@10 is told too.

    python -m benchmarks.text.encoding [WORKSPACE] [--texts 512] [--threads 1] [--no-quality]
"""

import argparse
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from features.log.item_columns import TEXT
from recsys.evaluation.encoder_bench import bench_encoders, sample_texts
from recsys.text.encoder.bert import encoder_folder
from recsys.text.encoder.open import load_weights, open_backend
from recsys.text.encoder.settings import Backend, EncodingSettings
from recsys.text.settings import TextSettings
from recsys.training.texts import read_item_texts
from recsys.workspace.backfill import open_workspace_log
from recsys.workspace.workspace import Workspace

TARGETS = {"torch": 1.4, "onnx": 1.4, "onnx-int8": 3.0}
MAX_LOSS = 0.002
REFERENCE = "sentence-transformers"
BATCH = 32
_WORDS = ("red", "blue", "wool", "silk", "scarf", "mug", "lamp", "garden", "vintage", "set of")


def sentence_transformers(max_tokens: int) -> tuple[str, Callable[[list[str]], np.ndarray]]:
    """Give its `encode`; where it is not installed, the same steps.

    These are: sort by length in characters, longest first; batches of 32, padded to the longest;
    mean pooling; normalisation; back in order.
    """
    folder = encoder_folder("minilm")
    if importlib.util.find_spec("sentence_transformers") is not None:
        model = importlib.import_module("sentence_transformers").SentenceTransformer(
            folder, device="cpu", local_files_only=True
        )
        model.max_seq_length = max_tokens
        return f"{REFERENCE} itself", lambda texts: model.encode(
            texts, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True
        )
    tokenizer, bert = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)

    @torch.inference_mode()
    def encode(texts: list[str]) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        found = np.empty((len(texts), bert.config.hidden_size), np.float32)
        for low in range(0, len(order), BATCH):
            places = order[low : low + BATCH]
            tokens = tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=max_tokens,
                return_tensors="pt",
            )
            states = bert(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].float()
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            found[places] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return found

    return f"the steps of {REFERENCE}", encode


def simple_texts(count: int, seed: int = 0) -> list[str]:
    """Make texts of 4 to 30 words."""
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(_WORDS, random.integers(4, 31))) for _ in range(count)]


def measure(
    encoders: Mapping[str, Callable[[list[str]], np.ndarray]], texts: Sequence[str], rounds: int
) -> dict[str, dict[str, float]]:
    """Time each encoder in turns.

    Args:
        encoders: By name.
        texts: What is encoded.
        rounds: Turns that count, after one to warm up.

    Returns:
        Texts per second of CPU and of clock in the best turn, and the cosine to the reference.
    """
    cpu: dict[str, list[float]] = {name: [] for name in encoders}
    clock: dict[str, list[float]] = {name: [] for name in encoders}
    vectors = {name: encode(list(texts)) for name, encode in encoders.items()}
    for _ in range(rounds):
        for name, encode in encoders.items():
            started, spent = perf_counter(), process_time()
            encode(list(texts))
            cpu[name].append(process_time() - spent)
            clock[name].append(perf_counter() - started)
    return {
        name: {
            "texts_per_cpu_s": len(texts) / min(cpu[name]),
            "texts_per_s": len(texts) / min(clock[name]),
            "cpu_ratio": min(cpu[REFERENCE]) / min(cpu[name]),
            "clock_ratio": min(clock[REFERENCE]) / min(clock[name]),
            "cosine": float((vectors[name] * vectors[REFERENCE]).sum(1).mean()),
        }
        for name in encoders
    }


def main() -> None:
    """Measure and print, with one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, nargs="?", help="its texts, and its nDCG@10")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-quality", action="store_true", help="speed only")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    workspace = Workspace.open(arguments.workspace) if arguments.workspace else None
    settings = workspace.config.text if workspace else TextSettings()
    count = arguments.texts
    texts = simple_texts(count)
    if workspace is not None:
        keys = open_workspace_log(workspace).catalogue.values[TEXT]
        texts = sample_texts(read_item_texts(workspace, keys), count, 0)
    reference, encode = sentence_transformers(settings.max_tokens)
    encoders = {REFERENCE: encode}
    backends: tuple[Backend, ...] = ("torch", "onnx", "onnx-int8")
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            encoding = EncodingSettings(backend=backend, threads=arguments.threads)
            opened = open_backend(load_weights(settings, encoding), encoding, Path(folder))
            encoders[backend] = opened.encode
        found = measure(encoders, texts, arguments.rounds)
    print(f"reference: {reference}; {len(texts)} texts, {arguments.threads} threads")
    for name, values in found.items():
        print(name.ljust(22), {key: round(value, 4) for key, value in values.items()})
    losses = {}
    if workspace is not None and not arguments.no_quality:
        losses = {
            result.backend: {"match": result.match, "ranker": result.full, "loss": result.loss}
            for result in bench_encoders(workspace, 16)
            if result.reason is None
        }
    print(
        json.dumps(
            {
                "benchmark": "encoding",
                "reference": reference,
                "data": workspace.config.name if workspace else "words drawn at random",
                "texts": len(texts),
                "threads": arguments.threads,
                "speed": found,
                "ndcg_at_10": losses,
                "target_ratios": TARGETS,
                "target_loss": MAX_LOSS,
            }
        )
    )


if __name__ == "__main__":
    main()
