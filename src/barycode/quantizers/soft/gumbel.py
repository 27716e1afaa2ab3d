"""Gumbel quantization: a code vector drawn at random, the nearer the likelier, with a relaxed gradient."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from barycode.quantizers.core.arguments import nonnegative, positive
from barycode.quantizers.core.assignment import DenseAssignment, OneHotAssignment
from barycode.quantizers.core.estimators import straight_through
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import SingleCodebook


class GumbelQuantizer(SingleCodebook):
    """In training p = softmax((l + g) / temperature), l_k = -||z - c_k||^2, g Gumbel noise; q = p C.

    (Jang et al. 2017; Maddison et al. 2017.) Training draws from the torch generator and holds N x K weights;
    with `hard_forward` it returns the drawn code vector with the gradient of p C. Evaluation takes the
    nearest code vector.
    loss = kl_weight * kl_loss, where kl_loss = mean KL(softmax(l) || uniform) in nats keeps codes in play.
    """

    temperature: Tensor

    def __init__(
        self,
        codebook_size: int,
        dim: int,
        *,
        temperature: float = 1.0,
        kl_weight: float = 5e-4,
        hard_forward: bool = True,
    ) -> None:
        super().__init__(codebook_size, dim)
        self.kl_weight = nonnegative("kl_weight", kl_weight)
        self.hard_forward = hard_forward
        self.register_buffer("temperature", torch.ones(()))
        self.anneal_to(temperature)

    def anneal_to(self, temperature: float) -> None:
        """Set the temperature: towards 0 the weights become one-hot."""
        self.temperature.fill_(positive("temperature", temperature))

    def quantize(self, z: Float[Tensor, "*batch d"]) -> Quantized:
        if not self.training:
            indices = self.encode_vectors(z)
            codes = straight_through(z, self.decode_indices(indices))
            return Quantized(codes, indices, z.new_zeros(()), OneHotAssignment(indices, self.codebook_size))
        codebook = self.codebook.vectors.to(z.dtype)
        logits = 2 * z @ codebook.T - codebook.square().sum(1)  # -||z - c||^2 up to a constant of each z
        weights = DenseAssignment(
            torch.softmax((logits + gumbel_like(logits)) / self.temperature.to(z.dtype), -1)
        )
        indices = weights.vertex()
        soft = weights.decode(codebook)
        quantized = straight_through(soft, self.decode_indices(indices)) if self.hard_forward else soft
        kl_loss = _mean_divergence_from_uniform(logits)
        return Quantized(quantized, indices, self.kl_weight * kl_loss, weights, {"kl_loss": kl_loss})


def gumbel_like(logits: Tensor) -> Tensor:
    """Standard Gumbel noise of the shape and dtype of the logits."""
    tiny = torch.finfo(logits.dtype).tiny
    return -torch.empty_like(logits).exponential_().clamp_min(tiny).log()


def _mean_divergence_from_uniform(logits: Tensor) -> Tensor:
    log_p = torch.log_softmax(logits, -1)
    count = max(1, logits[..., 0].numel())
    divergence = (log_p.exp() * (log_p + math.log(logits.shape[-1]))).sum()
    return divergence / count
