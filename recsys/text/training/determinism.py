"""What makes a training come out the same every time: seeds and rates by step, exact sums."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from recsys.text.settings import TextSettings


def learning_rate_factor(step: int, settings: TextSettings) -> float:
    """Give the share of the peak: a straight warm-up, then a cosine down to almost nothing.

    Args:
        step: From 1.
        settings: Length of the warm-up and of the whole.

    Returns:
        Above 0, at most 1.
    """
    warm = max(1, round(settings.warm_up * settings.steps))
    if step <= warm:
        return step / warm
    left = (settings.steps + 1 - step) / (settings.steps + 1 - warm)
    return (1 - math.cos(math.pi * left)) / 2


def step_seed(*numbers: int) -> int:
    """Give one seed for several numbers, as good as independent of that of others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def exact(*, one_thread: bool) -> Iterator[None]:
    """Let torch compute the same on every run.

    Args:
        one_thread: The matrices of a head alone are too small to gain from more threads, which
            lose much where cores are shared and wait for each other.

    Yields:
        Nothing.
    """
    threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    # cuBLAS asks for this before it promises the same sums on every run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if one_thread:
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(exact)
