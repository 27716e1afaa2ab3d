"""Modules built for the shapes of their tensors: no memory, no numbers, no waiting."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_KEEP_SHAPE = frozenset({"normal_", "uniform_", "fill_", "__mul__", "__rmul__", "mul", "div", "__truediv__"})
_RANDOM = frozenset({torch.randn, torch.rand})


class _WithoutNumbers(TorchFunctionMode):
    """Random starts, and scaling them, are skipped. On the meta device PyTorch runs them in Python, and
    imports its compiler and sympy for it, although there are no numbers.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in _KEEP_SHAPE and not _broadcasts(args):
            return args[0]
        if function is torch.tensor:
            kwargs = {"device": "cpu", **kwargs}  # written out in code, hence small
        return (torch.empty if function in _RANDOM else function)(*args, **kwargs)


def _broadcasts(args: tuple[Any, ...]) -> bool:
    return sum(isinstance(argument, torch.Tensor) for argument in args) != 1


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Within: new tensors are on the meta device, random ones are not drawn, scalar factors not applied."""
    with torch.device("meta"), _WithoutNumbers():
        yield
