"""Rate: soft entropies for training, integer frequency tables and a range coder for bytes."""

from barycode.rate.entropy import (
    cross_entropy,
    entropy,
    expected_code_length,
    hard_histogram,
    soft_cross_entropy,
    soft_histogram,
)
from barycode.rate.symbols import SymbolDecoder, SymbolEncoder, require_least
from barycode.rate.tables import PRECISION, FrequencyTables

__all__ = [
    "PRECISION",
    "FrequencyTables",
    "SymbolDecoder",
    "SymbolEncoder",
    "cross_entropy",
    "entropy",
    "expected_code_length",
    "hard_histogram",
    "require_least",
    "soft_cross_entropy",
    "soft_histogram",
]
