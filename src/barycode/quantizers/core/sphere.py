"""The unit sphere: directions without lengths."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def on_sphere(z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """z / |z|, differentiable, without overflow; a vector of zeros stays where it is."""
    largest = z.detach().abs().amax(-1, keepdim=True)
    scaled = z / largest.masked_fill(largest == 0, 1)  # its norm is 1 at least, or 0
    return functional.normalize(scaled, dim=-1, eps=1.0)
