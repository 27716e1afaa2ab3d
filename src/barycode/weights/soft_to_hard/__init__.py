"""Fine-tuning for small files: weights under soft-to-hard quantization, with any model and training loop.

model = compressible(model, relative_grid())
loss = task_loss(model(x), y) + beta * rate_loss(model)      # as ever; anneal(model, schedule.step())
codes = harden(model)
data = barycode.weights.compress(model.state_dict(), hardened=codes)
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
from barycode.weights.soft_to_hard.model import (
    anneal,
    center_parameters,
    code_entropy,
    compressible,
    harden,
    matrices,
    prune,
    quantizers,
    rate_loss,
)
from barycode.weights.soft_to_hard.parametrization import SoftToHard
from barycode.weights.soft_to_hard.soft_scalar import nearest_rank, soft_counts, soft_scalar

__all__ = [
    "Centers",
    "CentersFor",
    "Grid",
    "LearnedCenters",
    "SoftToHard",
    "anneal",
    "center_parameters",
    "code_entropy",
    "compressible",
    "grid",
    "harden",
    "kmeans_centers",
    "matrices",
    "nearest_rank",
    "prune",
    "quantizers",
    "rate_loss",
    "relative_grid",
    "soft_counts",
    "soft_scalar",
]
