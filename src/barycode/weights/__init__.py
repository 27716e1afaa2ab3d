"""The network codec: state dicts into small files and back."""

from barycode.weights.codec import Compressed, compress, compress_to, decompress, explain
from barycode.weights.hardened import Hardened
from barycode.weights.plan import (
    DEFAULT_RULES,
    BitsPerWeight,
    Cluster,
    Keep,
    Lossless,
    MaxError,
    Quantize,
    Round,
    Rule,
    Size,
    Step,
    Target,
    Vectors,
)
from barycode.weights.report import Fate, Report

__all__ = [
    "DEFAULT_RULES",
    "BitsPerWeight",
    "Cluster",
    "Compressed",
    "Fate",
    "Hardened",
    "Keep",
    "Lossless",
    "MaxError",
    "Quantize",
    "Report",
    "Round",
    "Rule",
    "Size",
    "Step",
    "Target",
    "Vectors",
    "compress",
    "compress_to",
    "decompress",
    "explain",
]
