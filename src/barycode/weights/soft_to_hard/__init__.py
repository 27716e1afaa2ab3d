"""Fine-tuning for small files: weights under soft-to-hard quantization, with any model and training loop.

tuning = FineTuning(model, BitsPerWeight(1.5), steps=1000)      # its weights go under quantizers
optimizer = tuning.optimizer()
loss = tuning.loss(model(x), x)                                 # as ever: backward, optimizer.step()
data = tuning.compress()

The parts it is made of, for recipes of your own: `compressible`, `rate_loss`, `anneal`, `harden`.
"""

from barycode.weights.soft_to_hard.centers import (
    Centers,
    CentersFor,
    Grid,
    LearnedCenters,
    grid,
    kmeans_centers,
    relative_grid,
)
from barycode.weights.soft_to_hard.distances import Distance, divergence, relative_error
from barycode.weights.soft_to_hard.fine_tuning import FineTuning, Recipe
from barycode.weights.soft_to_hard.model import (
    anneal,
    center_parameters,
    code_entropy,
    compressible,
    harden,
    hardened_state,
    matrices,
    prune,
    quantizers,
    rate_loss,
)
from barycode.weights.soft_to_hard.parametrization import SoftToHard
from barycode.weights.soft_to_hard.rate_ceiling import RateCeiling
from barycode.weights.soft_to_hard.soft_scalar import nearest_rank, soft_counts, soft_scalar

__all__ = [
    "Centers",
    "CentersFor",
    "Distance",
    "FineTuning",
    "Grid",
    "LearnedCenters",
    "RateCeiling",
    "Recipe",
    "SoftToHard",
    "anneal",
    "center_parameters",
    "code_entropy",
    "compressible",
    "divergence",
    "grid",
    "harden",
    "hardened_state",
    "kmeans_centers",
    "matrices",
    "nearest_rank",
    "prune",
    "quantizers",
    "rate_loss",
    "relative_error",
    "relative_grid",
    "soft_counts",
    "soft_scalar",
]
