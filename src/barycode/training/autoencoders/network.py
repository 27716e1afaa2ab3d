"""The convolutional autoencoder of VQ-VAE: four times smaller in each direction, a bottleneck, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers import FeatureMap, Quantized, Quantizer


@dataclass(frozen=True)
class Reconstruction:
    """What came out of an autoencoder.

    pictures: (B, 3, H, W), around [0, 1]. latents: (B, d, H/4, W/4), what the quantizer saw.
    quantized: the quantizer's result in the layout of the latents; None without a quantizer.
    """

    pictures: Float[Tensor, "b 3 height width"]
    latents: Float[Tensor, "b d h w"]
    quantized: Quantized | None


class Autoencoder(nn.Module):
    """Encoder, quantizer, decoder (van den Oord et al. 2017): hidden 128, two residual blocks of 32 channels.

    Pictures (B, 3, H, W) in [0, 1] with sides that are multiples of 4; latents (B, d, H/4, W/4), d the
    quantizer's dimension. Without a quantizer it is the plain autoencoder, of `dim` channels.
    """

    def __init__(
        self, quantizer: Quantizer | None, dim: int = 64, *, hidden: int = 128, residual: int = 32
    ) -> None:
        super().__init__()
        self.dim = dim if quantizer is None else quantizer.dim
        self.encoder = encoder(self.dim, hidden, residual)
        self.quantizer = quantizer
        self.decoder = decoder(self.dim, hidden, residual)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast

    def forward(self, pictures: Float[Tensor, "b 3 height width"]) -> Reconstruction:
        latents = self.latents(pictures)
        if self.quantizer is None:
            return Reconstruction(self.reconstruct(latents), latents, None)
        quantized = FeatureMap(self.quantizer)(latents)
        return Reconstruction(self.reconstruct(quantized.quantized), latents, quantized)

    def latents(self, pictures: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """What the encoder makes of the pictures."""
        _require_fours(pictures)
        latents: Tensor = self.encoder(pictures - 0.5)
        return latents

    def reconstruct(self, latents: Float[Tensor, "b d h w"]) -> Float[Tensor, "b 3 height width"]:
        """What the decoder makes of quantized latents."""
        pictures: Tensor = self.decoder(latents) + 0.5
        return pictures

    def encode(self, pictures: Float[Tensor, "b 3 height width"]) -> Int64[Tensor, "b h w_parts"]:
        """The indices that a file would hold."""
        return self._map().encode(self.latents(pictures))

    def decode(self, indices: Int64[Tensor, "b h w_parts"]) -> Float[Tensor, "b 3 height width"]:
        """The pictures that a decoder gets from the indices."""
        return self.reconstruct(self._map().decode(indices))

    def _map(self) -> FeatureMap:
        if self.quantizer is None:
            raise InvalidInputError("An autoencoder without a quantizer has no codes: give it one.")
        return FeatureMap(self.quantizer)


class ResidualBlock(nn.Module):
    """x + W_1x1 relu(W_3x3 relu(x)), without biases."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        added: Tensor = self.narrow(torch.relu(self.wide(torch.relu(x))))
        return x + added


def encoder(dim: int, hidden: int = 128, residual: int = 32) -> nn.Sequential:
    """Two convolutions of stride 2, one of stride 1, two residual blocks, and a linear map to `dim`."""
    return nn.Sequential(
        nn.Conv2d(3, hidden // 2, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(hidden // 2, hidden, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, 1, 1),
        ResidualBlock(hidden, residual),
        ResidualBlock(hidden, residual),
        nn.ReLU(),
        nn.Conv2d(hidden, dim, 1),
    )


def decoder(dim: int, hidden: int = 128, residual: int = 32) -> nn.Sequential:
    """The encoder backwards."""
    return nn.Sequential(
        nn.Conv2d(dim, hidden, 3, 1, 1),
        ResidualBlock(hidden, residual),
        ResidualBlock(hidden, residual),
        nn.ReLU(),
        nn.ConvTranspose2d(hidden, hidden // 2, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(hidden // 2, 3, 4, 2, 1),
    )


def _require_fours(pictures: Tensor) -> None:
    if pictures.ndim != 4 or pictures.shape[1] != 3 or pictures.shape[2] % 4 or pictures.shape[3] % 4:
        raise InvalidInputError(
            f"The autoencoder takes pictures (B, 3, H, W) with sides that are multiples of 4, "
            f"not {tuple(pictures.shape)}."
        )
