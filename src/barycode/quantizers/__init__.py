"""Vector quantizers, drop-in replacements for each other: `quantized, indices, loss = quantizer(z)`."""

from barycode.quantizers.assignment import Assignment, Dense, OneHot, Parts, Sparse
from barycode.quantizers.bypass import no_quantization
from barycode.quantizers.codebook import Codebook, revive
from barycode.quantizers.estimators import rotation_trick, straight_through
from barycode.quantizers.nearest import nearest
from barycode.quantizers.quantized import Quantized
from barycode.quantizers.quantizer import Quantizer, SingleCodebook
from barycode.quantizers.statistics import CodebookStatistics, sync
from barycode.quantizers.vector import VectorQuantizer

__all__ = [
    "Assignment",
    "Codebook",
    "CodebookStatistics",
    "Dense",
    "OneHot",
    "Parts",
    "Quantized",
    "Quantizer",
    "SingleCodebook",
    "Sparse",
    "VectorQuantizer",
    "nearest",
    "no_quantization",
    "revive",
    "rotation_trick",
    "straight_through",
    "sync",
]
