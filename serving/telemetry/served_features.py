"""A log of the features that requests were ranked by, for the parity check with the backfill."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import numpy as np
import orjson

from data_contracts.served import ServedFeatures

_CRC_VALUES = 1 << 32


class ServedLog:
    """Rows of the contract `served_features` as JSON lines, a file a UTC day and process.

    A request is written by one call, so that whoever reads the file meanwhile, or after the process
    was killed, finds at most its last request cut.

    Args:
        folder: Where to write; made when it is missing.
        schema_hash: Hash of the declared features.
        share: Share of the requests that are written, 0..1; which ones follows from their id, so
            that all processes agree.
    """

    def __init__(self, folder: Path, schema_hash: str, share: float = 1) -> None:
        self._folder = folder
        self._schema_hash = schema_hash
        self._below = round(share * _CRC_VALUES)
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, request_id: str, item_ids: Sequence[str], features: np.ndarray) -> None:
        """Append the features of one request.

        Args:
            request_id: The ranking call.
            item_ids: Its candidates, in any order.
            features: float32 [n_candidates, n_features], NaN where missing; aligned.

        Raises:
            OSError: The file cannot be written.
        """
        if crc32(request_id.encode()) >= self._below:
            return
        lines = [
            orjson.dumps(
                {
                    ServedFeatures.request_id.name: request_id,
                    ServedFeatures.item_id.name: item_id,
                    ServedFeatures.schema_hash.name: self._schema_hash,
                    ServedFeatures.values.name: values,
                },
                option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
            )
            for item_id, values in zip(item_ids, np.ascontiguousarray(features), strict=True)
        ]
        name = f"{datetime.now(UTC):%Y-%m-%d}-{os.getpid()}.jsonl"
        with (self._folder / name).open("ab", buffering=0) as file:
            file.write(b"".join(lines))
