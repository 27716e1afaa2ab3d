"""The picture codec."""

from barycode.images.codec import compress, decompress
from barycode.images.model import ImageModel, ModelConfig
from barycode.images.shelf import shipped_models

__all__ = ["ImageModel", "ModelConfig", "compress", "decompress", "shipped_models"]
