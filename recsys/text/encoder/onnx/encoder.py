"""An exported encoder, run by ONNX Runtime: needs neither torch nor the original weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_contracts.errors import BundleError
from data_contracts.storage import atomic_file
from recsys.text.encoder.backends import usable_threads
from recsys.text.encoder.batching import BatchedEncoder, TokenBatch
from recsys.text.encoder.onnx.runtime import loading_errors, onnx_runtime
from recsys.text.encoder.tokenizer import TextTokenizer

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "vectors"
TOKENIZER = "tokenizer.json"
TOKENS_PER_THREAD = 384
"""Tokens of a batch, padding included, per thread: what larger ones compute leaves a core's cache,
and a tenth of the speed with it."""
_SLOWER_FUSED = ["SkipLayerNormFusion"]
"""ONNX Runtime 1.32 takes 5.9 ns an entry for a sum and its normalisation in one node, and 1.2 ns
for the three nodes that it would put together; vectors are the same."""


def onnx_file(backend: str) -> str:
    """Name the file of an exported encoder beside its weights."""
    return f"{backend}.onnx"


@dataclass(frozen=True)
class OnnxEncoder(BatchedEncoder):
    """An exported encoder.

    Attributes:
        session: ONNX Runtime's view of the file.
        path: The file it was read from.
    """

    session: Any
    path: Path

    # Enough for batches of one length each.
    window: ClassVar[int] = 2048

    @classmethod
    def load(
        cls, path: Path, tokenizer: TextTokenizer | None = None, *, threads: int | None = None
    ) -> "OnnxEncoder":
        """Open an exported encoder.

        Args:
            path: The file that `export_onnx` wrote.
            tokenizer: Its tokenizer; `tokenizer.json` beside the file when absent.
            threads: CPU threads; one per core the process may use when absent.

        Returns:
            The encoder.

        Raises:
            BundleError: The file is missing, damaged, or no exported encoder.
        """
        runtime = onnx_runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = usable_threads(threads)
        budget = TOKENS_PER_THREAD * options.intra_op_num_threads
        options.log_severity_level = 3
        try:
            session = runtime.InferenceSession(
                path,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOWER_FUSED,
            )
            told = session.get_modelmeta().custom_metadata_map
            tokenizer = tokenizer or TextTokenizer.read(
                path.parent / TOKENIZER, int(told["max_tokens"]), int(told["pad_id"])
            )
            dim = session.get_outputs()[0].shape[-1]
            return cls(told["fingerprint"], tokenizer, int(dim), budget, session, path)
        except loading_errors() as error:
            raise BundleError(
                f"no encoder in {path} ({str(error).splitlines()[0]})",
                "an ONNX file that recsys exported",
                "delete the file: it is made again from the weights; a bundle has to be "
                "copied again",
            ) from error

    def save(self, folder: Path) -> None:
        """Copy the file beside the weights that are there."""
        with atomic_file(folder / onnx_file(self.fingerprint.partition("-")[2])) as part:
            part.write_bytes(self.path.read_bytes())

    def compute(self, batch: TokenBatch) -> np.ndarray:
        """Give the vectors of a batch, float32 [b, dim]."""
        inputs = dict(zip(INPUTS, (batch.ids, batch.mask), strict=True))
        vectors: np.ndarray = self.session.run([OUTPUT], inputs)[0]
        return vectors
