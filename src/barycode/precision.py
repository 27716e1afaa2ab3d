"""Which precision a network's convolutions should have on a device."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

_NATIVE = ("avx512_bf16", "amx_bf16")


def prefers_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are faster there than float32 ones: the processor is asked, since on one
    without such instructions they are slower.
    """
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else _processor_prefers_bfloat16()


@lru_cache(maxsize=1)
def _processor_prefers_bfloat16() -> bool:
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # not in every version
    capabilities = ask()
    return any(capabilities.get(name, False) for name in _NATIVE)
