"""The unit sphere: directions without lengths."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def on_sphere(z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """z / |z|, differentiable, without overflow; a vector of zeros stays where it is."""
    return functional.normalize(z / _largest(z), dim=-1, eps=1.0)  # of a norm of 1 at least, or 0


def length(z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch 1"]:
    """|z|, differentiable, where the square of a number would be no number any more, too."""
    largest = _largest(z)
    return (z / largest).norm(dim=-1, keepdim=True) * largest


def _largest(z: Tensor) -> Tensor:
    """The largest magnitude of each vector; 1 for zeros."""
    largest = z.detach().abs().amax(-1, keepdim=True)
    return largest.masked_fill(largest == 0, 1)
