"""What a program around us has switched in PyTorch must not change what a file says.

Autocast, default dtype and device, inference mode and reduced precision of matrix products are settings of a
process or a thread that reach into every function. Files are written and read as if nobody had touched them,
and what is cached on the way (models, tables) is made as if nobody had.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

_AUTOCASTING = ("cpu", "cuda", "xpu", "mps")


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Within: float32 on the CPU by default, no autocast, no inference mode, full precision.

    Also a decorator. Settings that are as they should be are not touched, so that other threads notice
    nothing.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for device in _AUTOCASTING:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        _switch(stack, torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        _switch(stack, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")
        yield


def _switch(
    stack: contextlib.ExitStack, get: Callable[[], Any], set_: Callable[[Any], None], value: Any
) -> None:
    before = get()
    if before != value:
        stack.callback(set_, before)
        set_(value)
