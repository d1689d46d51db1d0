"""`@compiled`: compiles a loop over numpy arrays with numba on its first call and caches the code.

The cache is renewed when the module of the loop changes. After a change to a loop or
constant that it takes from another module, delete the `*.nbi` files in `__pycache__`.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function over numpy arrays and numbers on its first call.

    The machine code is cached next to the module, or in the user's cache where that may not be
    written; where neither may, each process compiles anew. Sums keep their order, so that results
    are those of the same loop in Python, bit for bit.

    Args:
        function: A loop without Python objects.

    Returns:
        The same function, compiled. It releases the interpreter lock while it runs.
    """
    try:
        return cast("Callable[P, R]", _jit(function, cache=True))
    except RuntimeError:  # numba found no folder to keep the code in
        return cast("Callable[P, R]", _jit(function, cache=False))


def _jit(function: Callable[P, R], *, cache: bool) -> object:
    return numba.njit(cache=cache, nogil=True, error_model="numpy")(function)
