"""Softmax assignment in blocks, with a hand-written backward: the memory of one block, not N x K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from barycode.quantizers.core.assignment import Assignment, DenseAssignment
from barycode.simplex.first_order import first_order
from barycode.simplex.nearest import block_rows, nearest


def soft_assign(
    z: Float[Tensor, "*batch d"],
    codebook: Float[Tensor, "k d"],
    values: Float[Tensor, "k e"] | None,
    sigma: Float[Tensor, ""],
) -> tuple[Float[Tensor, "*batch e"], Float[Tensor, " k"]]:
    """(phi V, sum of phi over the batch), where phi = softmax_k(-sigma ||z - c_k||^2).

    Soft-to-hard quantization has values V = codebook: None, as `torch.compile` takes no tensor
    twice. Differentiable once in all four arguments; backward
    recomputes phi, so that neither direction ever holds more than one block of it.
    """
    vectors = z.reshape(-1, z.shape[-1])
    mixed, mass = _SoftAssign.apply(vectors, codebook, values, sigma)
    return mixed.reshape(*z.shape[:-1], mixed.shape[1]), mass


def soft_weights(
    z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"], sigma: Float[Tensor, ""]
) -> Float[Tensor, "*batch k"]:
    """Phi = softmax_k(-sigma ||z - c_k||^2), all of it: memory N x K, by ordinary autograd."""
    scores = codebook.square().sum(1) / 2 - z @ codebook.T  # ||z - c||^2 / 2 without the term of z alone
    excess = 2 * (scores - scores.amin(-1, keepdim=True).detach())
    return torch.softmax(-sigma * excess, -1)


@dataclass(frozen=True)
class SoftAssignment(Assignment):
    """phi = softmax(-sigma ||z - c_k||^2), held by its arguments and made dense on request."""

    z: Float[Tensor, "*batch d"]
    codebook: Float[Tensor, "k d"]
    sigma: Float[Tensor, ""]
    mass: Float[Tensor, " k"]

    @property
    def codebook_size(self) -> int:
        return self.codebook.shape[0]

    def dense(self) -> Float[Tensor, "*batch k"]:
        return soft_weights(self.z, self.codebook, self.sigma)

    def decode(self, codebook: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d"]:
        return soft_assign(self.z, self.codebook, codebook, self.sigma)[0]

    def total(self) -> Float[Tensor, " k"]:
        return self.mass

    def vertex(self) -> Int64[Tensor, "*batch"]:
        return nearest(self.z, self.codebook)

    def entropy(self) -> Float[Tensor, "*batch"]:
        return DenseAssignment(self.dense()).entropy()


class _SoftAssign(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, codebook: Tensor, values: Tensor | None, sigma: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(z, codebook, values, sigma)
        values = codebook if values is None else values
        mixed = z.new_empty(z.shape[0], values.shape[1])
        mass = z.new_zeros(codebook.shape[0])
        rows = block_rows(codebook.shape[0])
        for block, out in zip(z.split(rows), mixed.split(rows), strict=True):
            phi = soft_weights(block, codebook, sigma)
            torch.mm(phi, values, out=out)
            mass += phi.sum(0)
        return mixed, mass

    @staticmethod
    @first_order
    def backward(
        ctx: Any, grad_mixed: Tensor, grad_mass: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """With logits l = sigma (2 z C^T - |c|^2):  dl = phi (dphi - <phi, dphi>),  dphi = dq V^T + dmass."""
        z, codebook, given, sigma = ctx.saved_tensors
        values = codebook if given is None else given
        grad_z, grad_codebook, grad_values = map(torch.zeros_like, (z, codebook, values))
        grad_sigma = torch.zeros_like(sigma)
        norms = codebook.square().sum(1)
        rows = block_rows(codebook.shape[0])
        for block, out, grad in zip(z.split(rows), grad_z.split(rows), grad_mixed.split(rows), strict=True):
            phi = soft_weights(block, codebook, sigma)
            grad_values += phi.T @ grad
            grad_phi = torch.addmm(grad_mass, grad, values.T)
            grad_logits = phi * (grad_phi - (phi * grad_phi).sum(1, keepdim=True))
            torch.mm(grad_logits, codebook, out=out)
            mass = grad_logits.sum(0)
            inner = grad_logits.T @ block
            grad_codebook += inner - mass[:, None] * codebook
            grad_sigma += 2 * (inner * codebook).sum() - mass @ norms
        grad_codebook *= 2 * sigma
        if given is None:
            return 2 * sigma * grad_z, grad_codebook + grad_values, None, grad_sigma
        return 2 * sigma * grad_z, grad_codebook, grad_values, grad_sigma
