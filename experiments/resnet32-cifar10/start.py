"""Where fine-tuning starts: on one uniform grid whose step gives the codes a wanted entropy."""

import copy

import numpy as np
from classical import matrices_of
from network import ResNet32
from scalar import uniform
from torch import from_numpy

from barycode.weights.soft_to_hard import LearnedCenters, code_entropy, compressible, grid

BISECTIONS = 12
EXTREMES = 1e-3, 1.0


def on_grids(network: ResNet32, bits: float, sigma: float) -> None:
    """A grid of its own for each tensor, `bits` of entropy a weight; training sees hard weights."""
    compressible(network, grid(_step(network, bits)), sigma=sigma, hard_forward=True)


def on_shared_centers(network: ResNet32, bits: float, sigma: float) -> None:
    """The means of uniform cells for the whole network, about `bits` a weight; training sees soft weights."""
    weights = matrices_of(network.state_dict())
    cells = uniform(weights, _step(network, bits), np.ones_like(weights))
    compressible(network, lambda _: LearnedCenters(from_numpy(cells.centers)), shared=True, sigma=sigma)


def _step(network: ResNet32, bits: float) -> float:
    low, high = EXTREMES
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        entropy = code_entropy(compressible(copy.deepcopy(network), grid(middle)))
        low, high = (middle, high) if entropy > bits else (low, middle)
    return (low * high) ** 0.5
