"""Quantizers for feature maps (B, C, H, W), whose vectors lie along the channels."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import Quantizer


class FeatureMap(nn.Module):
    """Applies a quantizer of dimension C to maps (B, C, H, W), or (B, C, ...) of any number of axes.

    `quantized` and `decode` have the layout of the map; indices are (B, H, W) or (B, H, W, parts).
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, maps: Float[Tensor, "b c *space"]) -> Quantized:
        result: Quantized = self.quantizer(_channels_last(maps))
        return replace(result, quantized=result.quantized.movedim(-1, 1))

    def encode(self, maps: Float[Tensor, "b c *space"]) -> Int64[Tensor, "b *space_parts"]:
        """The indices of every place of the maps."""
        return self.quantizer.encode(_channels_last(maps))

    def decode(self, indices: Int64[Tensor, "b *space_parts"]) -> Float[Tensor, "b c *space"]:
        """The maps that a decoder gets."""
        return self.quantizer.decode(indices).movedim(-1, 1)

    def reconstruct(self, maps: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
        """`decode(encode(maps))`."""
        return self.decode(self.encode(maps))


def _channels_last(maps: Tensor) -> Tensor:
    if not isinstance(maps, Tensor) or maps.ndim < 2:
        raise InvalidInputError(f"A feature map is a tensor (B, C, ...), not {type(maps)}.")
    return maps.movedim(1, -1)
