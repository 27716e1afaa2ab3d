"""Training on any number of stages, so that one residual quantizer serves every bitrate."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from barycode.errors import InvalidInputError
from barycode.quantizers.codebook.ranks import agreed
from barycode.quantizers.core.arguments import nonnegative, whole


@dataclass(frozen=True)
class StageDropout:
    """Each training batch uses the first n stages alone, n drawn at random (Zeghidour et al. 2021).

    choices: the numbers to draw from, such as those of a codec's bitrates; none: 1 to all.
    probability: that a batch is cut at all (DAC, Kumar et al. 2023, takes 0.5).
    The draw is from torch's generator and under torch.distributed that of rank 0 on every rank, all of which
    must take part in each forward pass.
    """

    choices: tuple[int, ...] = ()
    probability: float = 1.0

    def __post_init__(self) -> None:
        for choice in self.choices:
            whole("choices", choice)
        if nonnegative("probability", self.probability) > 1:
            raise InvalidInputError(f"`probability` must be from 0 to 1, not {self.probability}.")

    def draw(self, stages: int, device: torch.device) -> int:
        """How many of the stages this batch uses."""
        choices = self.choices or range(1, stages + 1)
        chosen = choices[int(torch.randint(len(choices), ()))]
        return agreed(chosen if float(torch.rand(())) < self.probability else stages, device)
