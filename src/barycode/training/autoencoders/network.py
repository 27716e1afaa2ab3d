"""The convolutional autoencoder of VQ-VAE: a few times smaller in each direction, a bottleneck, and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers import FeatureMap, Quantized, Quantizer
from barycode.training.autoencoders.start import start_as_transform


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

    Pictures (B, 3, H, W) in [0, 1] with sides that are multiples of f = 2^halvings; latents (B, d, H/f, W/f),
    d the quantizer's dimension. Without a quantizer it is the plain autoencoder, of `dim` channels. It starts
    as a block transform and its inverse (see `start`), or from random weights.
    """

    def __init__(
        self,
        quantizer: Quantizer | None,
        dim: int = 64,
        *,
        hidden: int = 128,
        residual: int = 32,
        halvings: int = 2,
        transform: bool = True,
    ) -> None:
        super().__init__()
        self.dim = dim if quantizer is None else quantizer.dim
        self.factor = 2**halvings
        self.encoder = encoder(self.dim, hidden, residual, halvings)
        self.quantizer = quantizer
        self.decoder = decoder(self.dim, hidden, residual, halvings)
        if transform:
            start_as_transform(self.encoder, self.decoder)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast

    def forward(self, pictures: Float[Tensor, "b 3 height width"]) -> Reconstruction:
        latents = self.latents(pictures)
        if self.quantizer is None:
            return Reconstruction(self.reconstruct(latents), latents, None)
        quantized = FeatureMap(self.quantizer)(latents)
        return Reconstruction(self.reconstruct(quantized.quantized), latents, quantized)

    def latents(self, pictures: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b d h w"]:
        """What the encoder makes of the pictures."""
        _require_multiples(pictures, self.factor)
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
    """x + W_1x1 relu(W_3x3 relu(x)), without biases; at first the identity."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        added: Tensor = self.narrow(torch.relu(self.wide(torch.relu(x))))
        return x + added


def encoder(dim: int, hidden: int = 128, residual: int = 32, halvings: int = 2) -> nn.Sequential:
    """Convolutions of stride 2, one of stride 1, two residual blocks, and a linear map to `dim`."""
    widths = _widths(hidden, halvings)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(
        *layers,
        nn.Conv2d(widths[-1], hidden, 3, 1, 1),
        ResidualBlock(hidden, residual),
        ResidualBlock(hidden, residual),
        nn.ReLU(),
        nn.Conv2d(hidden, dim, 1),
    )


def decoder(dim: int, hidden: int = 128, residual: int = 32, halvings: int = 2) -> nn.Sequential:
    """The encoder backwards."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([hidden, *reversed(_widths(hidden, halvings)[:-1])]):
        layers += [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
    return nn.Sequential(
        nn.Conv2d(dim, hidden, 3, 1, 1),
        ResidualBlock(hidden, residual),
        ResidualBlock(hidden, residual),
        *layers,
    )


def _widths(hidden: int, halvings: int) -> list[int]:
    """Channels at each resolution, from the picture on."""
    return [3, hidden // 2, *[hidden] * (halvings - 1)]


def _require_multiples(pictures: Tensor, factor: int) -> None:
    sides = pictures.shape[2:]
    if pictures.ndim != 4 or pictures.shape[1] != 3 or any(side % factor for side in sides):
        raise InvalidInputError(
            f"The autoencoder takes pictures (B, 3, H, W) with sides that are multiples of {factor}, "
            f"not {tuple(pictures.shape)}."
        )
