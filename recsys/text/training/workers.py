"""Several processes that train one model: each encodes and scores its share of every step.

All workers draw the same slates. The texts of a step are dealt out, their vectors come together,
each worker has the loss of its own slates, and gradients are added up, so that the step is that of
one worker with the same slates but for the order of sums.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Workers:
    """Rank and number of the workers; torch.distributed is running if there are several.

    Attributes:
        rank: Of this worker, from 0; the first one writes files.
        count: Workers.
        device: `cpu`, `cuda`, ...
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Run a block in the first worker, then in all others.

        Yields:
            Nothing.
        """
        if not self.first:
            distributed.barrier()
        yield
        if self.first and self.count > 1:
            distributed.barrier()

    def slates(self, total: int) -> slice:
        """Give this worker's share of the slates of a step."""
        return slice(total * self.rank // self.count, total * (self.rank + 1) // self.count)

    def texts(self, lengths: np.ndarray) -> np.ndarray:
        """Deal texts out by length, so that all have as much to encode.

        Args:
            lengths: int64 [n], tokens of each text.

        Returns:
            Places of this worker's texts, int64 [about n / count].
        """
        return np.sort(np.argsort(-lengths, kind="stable")[self.rank :: self.count])

    def together(self, own: Tensor, places: np.ndarray, total: int) -> Tensor:
        """Gather the vectors of all workers; gradients flow back to the worker of each.

        Args:
            own: This worker's vectors, [n, dim].
            places: int64 [n], their rows in the whole.
            total: Rows of the whole.

        Returns:
            [total, dim], the same for all workers.
        """
        if self.count == 1:
            return own
        rows = torch.from_numpy(places).to(own.device)
        whole = own.new_zeros(total, own.shape[1]).index_copy(0, rows, own)
        return _Sum.apply(whole)  # type: ignore[no-untyped-call]

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Add the gradients of all workers up, in place; a missing one counts as zero."""
        if self.count == 1:
            return
        both = list(parameters)
        grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in both]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        distributed.all_reduce(flat)
        sizes = [each.numel() for each in both]
        for parameter, grad in zip(both, torch.split(flat, sizes), strict=True):
            parameter.grad = grad.view_as(parameter)

    def total(self, value: float) -> float:
        """Add a number up over the workers."""
        if self.count == 1:
            return value
        summed = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return float(summed)


class _Sum(torch.autograd.Function):
    """The sum over workers, forwards and backwards."""

    @staticmethod
    def forward(_: Any, whole: Tensor) -> Tensor:
        summed = whole.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        distributed.all_reduce(summed)
        return summed


ALONE = Workers()
