"""Barycode compresses photos and neural networks with learned codebooks, on vector quantizers for PyTorch."""

from barycode.errors import BarycodeError

__version__ = "0.1.0"

__all__ = ["BarycodeError", "__version__"]
