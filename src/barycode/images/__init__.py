"""The picture codec. Importing it also teaches Pillow to open and save `.bary` files."""

from barycode.images.codec import compress, decompress
from barycode.images.left_out import left_out
from barycode.images.model import ImageModel, ModelConfig
from barycode.images.pillow_plugin import register
from barycode.images.quality import DEFAULT_QUALITY
from barycode.images.registry import shipped_models
from barycode.images.targets import BitsPerPixel, Likeness, Psnr, Size, Target

__all__ = [
    "DEFAULT_QUALITY",
    "BitsPerPixel",
    "ImageModel",
    "Likeness",
    "ModelConfig",
    "Psnr",
    "Size",
    "Target",
    "compress",
    "decompress",
    "left_out",
    "shipped_models",
]

register()
