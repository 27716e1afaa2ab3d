"""A projection onto the simplex that is quick and nearly right, for steps that need no more."""

import torch
from jaxtyping import Float
from torch import Tensor

MAXIMA = 32  # a threshold starts from that of so many of the scores, each the largest of a run
NEWTON_STEPS = 3


def project_approximately(scores: Float[Tensor, "k n"], spare: Float[Tensor, "k n"]) -> None:
    """Move columns to the simplex, or nearly: to max(s - t, 0) with t from below, by Newton's method.

    Works in place and uses `spare`. The threshold of some entries is never above that of all, and that of
    the maxima of runs is cheap.
    """
    maxima = scores
    if len(scores) > MAXIMA:
        count = len(scores) // MAXIMA
        maxima = scores[: count * MAXIMA].view(count, MAXIMA, scores.shape[1]).amax(0)
    threshold = maxima.amax(0) - 1
    for _ in range(NEWTON_STEPS):
        above = torch.sub(maxima, threshold).clamp_(min=0)
        threshold += (above.sum(0) - 1) / above.sign_().sum(0)
    scores.sub_(threshold).clamp_(min=0)
    excess = (scores.sum(0) - 1) / torch.sign(scores, out=spare).sum(0)
    scores.sub_(excess.clamp_(min=0)).clamp_(min=0)
