"""Rates: integer frequency tables and the coder that they drive, integer networks, and soft entropies for training."""

from barycode.rate.coder import SymbolDecoder, SymbolEncoder
from barycode.rate.tables import FrequencyTables

__all__ = ["FrequencyTables", "SymbolDecoder", "SymbolEncoder"]
