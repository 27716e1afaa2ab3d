"""How far the outputs of a network are from its float teacher's: losses for fine-tuning without labels."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.weights.nested import tensors_of

Distance = Callable[[Any, Any], Tensor]
"""Of a student's and a teacher's results; a scalar, differentiable in the first."""


def relative_error(student: Any, teacher: Any) -> Float[Tensor, ""]:
    """|student - teacher|^2 / |teacher|^2, a mean over all tensors of floats in nested results."""
    pairs = list(_pairs(student, teacher))
    errors = [(s - t).square().sum() / t.square().sum().clamp_min(1e-12) for s, t in pairs]
    return torch.stack(errors).mean()


def divergence(temperature: float = 4.0) -> Distance:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of logits (..., classes) (Hinton et al. 2015)."""

    def distance(student: Any, teacher: Any) -> Tensor:
        kinds = [_divergence(s, t, temperature) for s, t in _pairs(student, teacher)]
        return torch.stack(kinds).mean()

    return distance


def _divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    if student.ndim == 0 or student.shape[-1] < 2:
        raise InvalidInputError(
            f"Outputs of shape {tuple(student.shape)} are no logits (..., classes): take relative_error."
        )
    told, taught = (functional.log_softmax(z / temperature, -1).flatten(0, -2) for z in (student, teacher))
    return temperature**2 * functional.kl_div(told, taught, log_target=True, reduction="batchmean")


def _pairs(student: Any, teacher: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Tensors of floats of both results, in float32 or more."""
    ours, theirs = _floats(student), _floats(teacher)
    if not ours or [t.shape for t in ours] != [t.shape for t in theirs]:
        raise InvalidInputError(
            f"The model's results hold tensors of shapes {[tuple(t.shape) for t in ours]}, the teacher's of "
            f"{[tuple(t.shape) for t in theirs]}: pass the same inputs to both, and let `outputs` take from "
            "their results the tensors that are to stay."
        )
    for one, other in zip(ours, theirs, strict=True):
        wide = torch.promote_types(one.dtype, torch.float32)
        yield one.to(wide), other.to(wide)


def _floats(result: Any) -> list[Tensor]:
    return [tensor for tensor in tensors_of(result) if tensor.is_floating_point()]
