"""Files of arrays: safetensors with a JSON head that says the format, written whole or not at all.

Nothing in a file is code. Lists of strings are kept as the bytes of a JSON list, and pieces of
different lengths are laid end to end with their sizes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from data_contracts.errors import DataError, RecsysError
from data_contracts.storage import atomic_file

Arrays = dict[str, np.ndarray]

_HEAD, _METADATA = "head", "__metadata__"
_DTYPES = {"BOOL": "?", "U8": "u1", "U16": "u2", "U32": "u4", "U64": "u8", "I8": "i1", "I16": "i2"}
_DTYPES |= {"I32": "i4", "I64": "i8", "F16": "f2", "F32": "f4", "F64": "f8"}


def ragged(name: str, pieces: Sequence[np.ndarray], dtype: type[np.generic]) -> Arrays:
    """Lay pieces end to end: `name` has their values, `name_sizes` the length of each."""
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    return {name: np.concatenate([np.zeros(0, dtype), *pieces]), f"{name}_sizes": sizes}


@dataclass(frozen=True)
class ArrayFormat:
    """The format of a kind of file, and the error for a file that does not have it.

    Attributes:
        name: What a file is, as an error says it: `a feature state`.
        version: Raised when the arrays or the head change their meaning.
        action: What to do about a file that cannot be read.
        error: Class of the error.
    """

    name: str
    version: int
    action: str
    error: type[RecsysError] = DataError

    def write(
        self,
        path: Path,
        arrays: Mapping[str, np.ndarray],
        head: Mapping[str, Any] | None = None,
        strings: Mapping[str, Sequence[str | None]] | None = None,
    ) -> None:
        """Write a file whole or not at all, readable by every user of the machine.

        Args:
            path: The file; its folder is made.
            arrays: Arrays by name, of any shape.
            head: What JSON can hold, by name.
            strings: Lists of strings by name; no array has such a name.
        """
        parts = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        for name, values in (strings or {}).items():
            parts[name] = np.frombuffer(json.dumps(list(values)).encode(), np.uint8)
        # One entry only: the library writes several in any order, and equal files must be equal.
        metadata = {_HEAD: json.dumps({**(head or {}), "format": self._full_name})}
        with atomic_file(path) as part:
            save_file(parts, part, metadata)

    @contextmanager
    def reading(self, path: Path) -> Iterator["ArrayFile"]:
        """Map a file into memory for a block of code that takes it apart.

        Args:
            path: The file.

        Yields:
            The file.

        Raises:
            RecsysError: Of the class `error`: the file is missing, damaged or of another format,
                or the block missed a part of it or could not use one.
        """
        try:
            raw = np.memmap(path, np.uint8, "r")
            start = 8 + int.from_bytes(raw[:8].tobytes(), "little")
            entries = json.loads(raw[8:start].tobytes())
            head = json.loads(entries.pop(_METADATA, {}).get(_HEAD, "{}"))
            if (found := head.get("format", "no format")) != self._full_name:
                raise self.fault(f"{found} in {path}")
            end = start + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
            if end != len(raw):
                raise ValueError(f"{len(raw)} bytes instead of {end}")
            yield ArrayFile(path, self, head, entries, raw[start:])
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise self.fault(f"{path} cannot be read: {reason}") from error

    def head(self, path: Path) -> Mapping[str, Any]:
        """Read a file's head alone; empty when there is no file of this format."""
        with suppress(self.error), self.reading(path) as file:
            return file.head
        return {}

    def fault(self, found: str) -> RecsysError:
        """Give the error for something that no file of this format has."""
        return self.error(found, self._full_name, self.action)

    @property
    def _full_name(self) -> str:
        return f"{self.name}, format {self.version}"


@dataclass(frozen=True)
class ArrayFile:
    """A file of arrays, mapped into memory: what is never read is never loaded.

    Attributes:
        path: The file.
        format: The format it was opened as.
        head: What is not in arrays, by name.
        entries: Type, shape and place of each array, by name.
        data: uint8 [n_bytes], the arrays one after the other.
    """

    path: Path
    format: ArrayFormat
    head: Mapping[str, Any]
    entries: Mapping[str, Any]
    data: np.ndarray

    def mapped(self, name: str, length: int | None = None) -> np.ndarray:
        """Give an array that stays in the file, read-only.

        Args:
            name: Its name.
            length: How many rows it must have; None for any number.

        Returns:
            The array.

        Raises:
            RecsysError: Of the format's class: it is not there, or not so long.
        """
        if (entry := self.entries.get(name)) is None:
            raise self.format.fault(f"no array {name} in {self.path}")
        low, high = entry["data_offsets"]
        # A plain array over the same pages: a look-up in a memmap costs a quarter more.
        plain = self.data[low:high].view(np.ndarray)
        array = plain.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        if length is not None and len(array) != length:
            raise self.format.fault(
                f"{len(array)} rows instead of {length} in the array {name} in {self.path}"
            )
        return array

    def array(self, name: str, length: int | None = None) -> np.ndarray:
        """Load an array; arguments and errors as of `mapped`."""
        return self.mapped(name, length).copy()

    def part(self, prefix: str) -> Arrays:
        """Load the arrays whose names begin with a prefix, by the rest of their names."""
        names = [name for name in self.entries if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.array(name) for name in names}

    def strings(self, name: str) -> list[Any]:
        """Load a list of strings; the errors are those of `mapped`."""
        try:
            values: list[Any] = json.loads(self.mapped(name).tobytes())
        except ValueError as error:
            raise self.format.fault(f"no list of strings {name} in {self.path}") from error
        return values

    def ragged(self, name: str, count: int | None = None) -> list[np.ndarray]:
        """Load the pieces that `ragged` laid end to end; `count` says how many there must be."""
        ends = np.cumsum(self.array(f"{name}_sizes", count))
        values = self.array(name, int(ends[-1]) if len(ends) else 0)
        return np.split(values, ends[:-1]) if len(ends) else []
