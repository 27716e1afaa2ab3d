"""Work on blocks of rows, side by side where there are threads for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

T = TypeVar("T")


def map_blocks(work: Callable[[slice], T], blocks: Sequence[slice], device: torch.device) -> list[T]:
    """What `work` gives for every block, in their order.

    Steps that are small are over before a second thread has joined in. So on a CPU every thread takes a
    block of its own and works at it alone: what comes out does not depend on how many there are. Nothing is
    recorded for a derivative.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(blocks) == 1:
        with torch.no_grad():
            return [work(block) for block in blocks]
    mode = torch.is_inference_mode_enabled()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
            return list(pool.map(partial(_quietly, work, mode), blocks))
    finally:
        torch.set_num_threads(threads)


def _quietly(work: Callable[[slice], T], inference: bool, block: slice) -> T:
    with torch.inference_mode(inference), torch.no_grad():  # both belong to a thread
        return work(block)
