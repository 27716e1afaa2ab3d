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
            bits = fn(counter.view(torch.int64))  # integers move like the rest, but no cast touches them
            has_float64 = bits.device.type != "mps"
            self._buffers[name] = bits.view(torch.float64) if has_float64 else counter.float().to(bits.device)
        return self
