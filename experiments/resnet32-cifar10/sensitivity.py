"""How much each weight matters: the diagonal of the Gauss-Newton matrix of the distillation loss."""

import torch
from finetune import TEMPERATURE
from network import ResNet32
from pictures import Pictures, normalised
from torch import Tensor
from torch.nn import functional

from barycode.weights.soft_to_hard import matrices

BATCH = 125
BATCHES = 24


def sensitivities(network: ResNet32, pictures: Pictures, seed: int = 0) -> dict[str, Tensor]:
    """diag J^T (diag p - p p^T) J of each matrix of weights, p the softened predictions; a picture's mean.

    With labels drawn from p, the squared gradient of a batch's summed cross-entropy has that as its mean,
    since the draws of different pictures are independent.
    """
    random = torch.Generator().manual_seed(seed)
    chosen = {name: p for name, p in network.named_parameters() if matrices(name, p)}
    total = {name: torch.zeros_like(p) for name, p in chosen.items()}
    order = torch.randperm(len(pictures), generator=random)[: BATCH * BATCHES]
    for batch in order.split(BATCH):
        logits = network(normalised(pictures.pixels[batch])) / TEMPERATURE
        drawn = torch.multinomial(logits.detach().softmax(1), 1, generator=random).squeeze(1)
        loss = functional.cross_entropy(logits, drawn, reduction="sum")
        for name, gradient in zip(chosen, torch.autograd.grad(loss, list(chosen.values())), strict=True):
            total[name] += gradient.square()
    return {name: value.contiguous() / (BATCH * BATCHES) for name, value in total.items()}
