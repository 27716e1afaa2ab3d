"""Counters in float64 that no cast of their module touches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class CounterModule(nn.Module):
    """A module whose float64 buffers move with it from device to device but keep their precision.

    `.bfloat16()`, `.half()` and `.to(dtype)` cast everything else: a count in bfloat16 stops at 256. Where a
    device has no float64 (mps) counts are float32, exact up to 2^24.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        counters = {n: b for n, b in self._buffers.items() if b is not None and b.dtype == torch.float64}
        for name in counters:
            self._buffers[name] = None
        super()._apply(fn, recurse)
        for name, counter in counters.items():
            device = fn(torch.empty(0, device=counter.device)).device
            dtype = torch.float32 if device.type == "mps" else torch.float64
            self._buffers[name] = counter.to(device, dtype) if device.type != "meta" else _meta(counter)
        return self


def _meta(counter: Tensor) -> Tensor:
    return torch.empty_like(counter, device="meta")
