"""Determinism of a training: seed and learning rate by step, torch's deterministic algorithms."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from recsys.text.settings import TextSettings


def learning_rate_factor(step: int, settings: TextSettings) -> float:
    """Give the learning rate as a share of its peak: linear warm-up, then cosine decay.

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
    """Hash numbers to one seed, 0..2**63 - 1; other numbers give an independent one."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def exact(*, one_thread: bool) -> Iterator[None]:
    """Run a block with torch's deterministic algorithms.

    Args:
        one_thread: Compute with one CPU thread: the matrices of a head alone are too small to gain
            from more, which lose much where cores are shared.

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
