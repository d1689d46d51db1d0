"""The layers of a BERT-like model: read the input of one, or replace it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from data_contracts.errors import UsageError

_STATES = "hidden_states"


def layer_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Find the stack of a transformer: the list of as many modules as it has layers.

    Args:
        model: BERT, RoBERTa, XLM-R, DistilBERT, ELECTRA, MPNet, ModernBERT, ...

    Returns:
        Dotted name of the list within the model, and the layers, the first one first.

    Raises:
        UsageError: The model has none, because its layers share their weights for example.
    """
    config: Any = model.config
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers:
            return path, module
    raise UsageError(
        f"no list of {config.num_hidden_layers} layers in a {type(model).__name__}",
        "an encoder with one module a layer, such as BERT, RoBERTa or DistilBERT",
        "train it in mode `head` or `full`, or take another encoder",
    )


class _Reached(Exception):  # noqa: N818 - no error: the way out of a forward pass
    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = states


def states_before(model: nn.Module, layer: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Run a model up to a layer.

    Args:
        model: The model.
        layer: One of its layers.
        inputs: input_ids and attention_mask, [b, w].

    Returns:
        The input of the layer, [b, w, dim].
    """

    def leave(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else named[_STATES])

    handle = layer.register_forward_pre_hook(leave, with_kwargs=True)
    try:
        model(**inputs)
    except _Reached as reached:
        return reached.states
    finally:
        handle.remove()
    message = "the model ended without running the layer"
    raise AssertionError(message)


@contextmanager
def entering(layer: nn.Module, states: Tensor) -> Iterator[None]:
    """Replace the input of a layer by given states while the block runs.

    Args:
        layer: The layer.
        states: Its input, [b, w, dim].

    Yields:
        Nothing.
    """

    def replace(
        _: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (states, *args[1:]), named
        return args, {**named, _STATES: states}

    handle = layer.register_forward_pre_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def set_dropout(model: nn.Module, share: float) -> None:
    """Set every dropout of a model, attention's included."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
