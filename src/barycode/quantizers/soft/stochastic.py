"""Stochastic quantization with a learned variance: training anneals itself (SQ-VAE)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from barycode.quantizers.core.arguments import nonnegative, positive
from barycode.quantizers.core.assignment import DenseAssignment, OneHotAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook
from barycode.quantizers.soft.gumbel import gumbel_like


class StochasticQuantizer(SingleCodebook):
    """In training p is drawn with P(k) = softmax_k(-||z - c_k||^2 / 2 v), v learned (Takida et al. 2022).

    The draw is a Gumbel softmax of falling `temperature`; q = p C. Where the network reconstructs well v
    shrinks, and the quantizer hardens by itself. Training draws from the torch generator and holds N x K
    weights. Evaluation takes the nearest code vector.
    loss = loss_weight * (precision_loss + entropy_loss), means over the vectors in nats:
    precision_loss = ||z - q||^2 / 2 v and entropy_loss = sum P log P. They belong to the reconstruction loss
    (D / 2) log MSE of D values; divide it all by D, and `loss_weight` is vectors a picture / D.
    """

    temperature: Tensor

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        variance: float = 1.0,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(codebook_size, dim)
        self.loss_weight = nonnegative("loss_weight", loss_weight)
        self.log_variance = nn.Parameter(torch.tensor(math.log(positive("variance", variance))))
        self.register_buffer("temperature", torch.ones(()))
        self.anneal_to(temperature)

    def anneal_to(self, temperature: float) -> None:
        """Set the temperature of the draw: towards 0 the weights become one-hot."""
        self.temperature.fill_(positive("temperature", temperature))

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        if not self.training:
            indices = self.encode_vectors(z)
            codes = straight_through(z, self.decode_indices(indices))
            return Quantized(codes, indices, z.new_zeros(()), OneHotAssignment(indices, self.codebook_size))
        codebook = self.codebook.vectors.to(z.dtype)
        precision = 0.5 * torch.exp(-self.log_variance).to(z.dtype)
        scores = 2 * z @ codebook.T - codebook.square().sum(1)  # -||z - c||^2 up to a constant of each z
        logits = precision * scores
        weights = DenseAssignment(
            torch.softmax((logits + gumbel_like(logits)) / self.temperature.to(z.dtype), -1)
        )
        quantized = weights.decode(codebook)
        count = max(1, logits[..., 0].numel())
        log_p = torch.log_softmax(logits, -1)
        losses = {
            "precision_loss": precision * (z - quantized).square().sum() / count,
            "entropy_loss": (log_p.exp() * log_p).sum() / count,
        }
        loss = self.loss_weight * (losses["precision_loss"] + losses["entropy_loss"])
        return Quantized(quantized, weights.vertex(), loss, weights, losses)
