"""Which floats of a quantized checkpoint multiply its whole numbers: their errors are all weights' errors."""

from collections.abc import Iterable

import torch

from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.number_formats import FLOATS

# Of matrices: int64 is for indices and positions.
CODES = frozenset({torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32})


def integer_scales(entries: Iterable[Entry]) -> frozenset[str]:
    """The names of the floats that go with matrices of whole numbers and have fewer entries than these.

    They stand beside them in a module (`qweight` and `scales` of GPTQ and AWQ, `weight` and `SCB` of
    bitsandbytes, `weight_packed` and `weight_scale`), below them (`weight.absmax`), or, where names have no
    modules, begin alike (`w_quantized` and `w_scale` of ONNX).
    """
    entries = list(entries)
    largest: dict[str, int] = {}
    for entry in entries:
        if entry.dtype in CODES and len(entry.shape) > 1:
            for place in (entry.name, _place(entry.name)):  # what is below it, and beside it
                largest[place] = max(largest.get(place, 0), entry.size)
    return frozenset(
        entry.name
        for entry in entries
        if entry.dtype in FLOATS and entry.size < largest.get(_place(entry.name), 0)
    )


def _place(name: str) -> str:
    """The module of a tensor, or what its name begins with where it has none."""
    module, dot, own = name.rpartition(".")
    return module if dot else (own.rpartition("_")[0] or own) + "_"
