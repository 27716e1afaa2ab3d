"""Where fine-tuning starts: grids whose steps follow the sensitivity of the tensors."""

import torch
from gauge import equalising_factors, scale_channels
from network import ResNet32
from torch import Tensor

from barycode.weights.soft_to_hard import Centers, Grid, code_entropy, compressible

REACH = 24
BISECTIONS = 20


def on_grids(network: ResNet32, sensitivities: dict[str, Tensor], bits: float, equalised: bool = True) -> None:
    """Put the network on grids, a step for each tensor, with `bits` of entropy a weight.

    Tensors of sensitivity h get steps in proportion to h^(-1/2): the same harm for the same number of bits.
    """
    if equalised:
        factors = equalising_factors(sensitivities)
        scale_channels(network, factors)
        sensitivities = {
            name: h / (factors[name].view(-1, 1, 1, 1).square() if h.ndim == 4 else 1)
            for name, h in sensitivities.items()
        }
    units = {name: float(h.mean().rsqrt()) for name, h in sensitivities.items()}
    grids = {name: Grid(unit, REACH) for name, unit in units.items()}
    for name, grid in grids.items():
        compressible(network, _always(grid), choose=lambda candidate, _, name=name: candidate == name)
    low, high = 1e-3, 1e3
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        with torch.no_grad():
            for name, grid in grids.items():
                grid.log_step.fill_(middle * units[name]).log_()
        low, high = (middle, high) if code_entropy(network) > bits else (low, middle)


def _always(centers: Centers):
    return lambda weights: centers
