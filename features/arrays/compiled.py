"""`@compiled`: loops over numpy arrays, compiled by numba when first called; their code is kept."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function over numpy arrays and numbers on its first call.

    The machine code is cached next to the module, or in the user's cache where that may not be
    written; where neither may, each process compiles anew. Code made with another constant or
    another loop of any module is never used again. Sums keep their order, so that results are
    those of the same loop in Python, bit for bit.

    Args:
        function: A loop without Python objects.

    Returns:
        The same function, compiled. It releases the interpreter lock while it runs.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # numba found no folder to keep the code in
        dispatcher._cache = _ContentCache(function)  # type: ignore[no-untyped-call]
    return cast("Callable[P, R]", dispatcher)


class _ContentCache(FunctionCache):
    """Numba's cache of a function, which by itself hashes no other module than the function's."""

    def _index_key(self, sig: object, codegen: object) -> tuple[object, ...]:
        digest = hashlib.sha256()
        for part in _content(self._py_func, set()):
            digest.update(f"{part}\n".encode())
        key = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*key, digest.hexdigest())


def _content(function: FunctionType, seen: set[FunctionType]) -> Iterator[str]:
    """Give everything that a function's machine code is made of, and the functions it calls."""
    seen.add(function)
    for code in _codes(function.__code__):
        yield code.co_code.hex()
        yield from (repr(each) for each in code.co_consts if not isinstance(each, CodeType))
        for name in code.co_names:
            value: Any = function.__globals__.get(name)
            value = getattr(value, "py_func", value)
            if isinstance(value, ModuleType):
                yield f"{name} {value.__name__} {getattr(value, '__version__', '')}"
            elif isinstance(value, np.ndarray):
                yield f"{name} {value.dtype} {value.tobytes().hex()}"
            elif not isinstance(value, FunctionType):
                yield f"{name} {value!r}"
            elif value not in seen:
                yield from _content(value, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Give a function's code and that of the functions written inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)
