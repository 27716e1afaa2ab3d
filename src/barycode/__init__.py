"""Barycode compresses things with learned codebooks: photos, neural networks, and any vectors you have."""

from barycode.errors import BarycodeError

__version__ = "0.1.0"

__all__ = ["BarycodeError", "__version__"]
