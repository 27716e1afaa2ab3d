"""Every way to quantize that the experiments compare, each as its paper trains it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    AffineVectorQuantizer,
    BinarySphericalQuantizer,
    CodebookMaintenance,
    CosineVectorQuantizer,
    DirectionalVectorQuantizer,
    EmaUpdate,
    ExponentialSchedule,
    FiniteScalarQuantizer,
    GumbelQuantizer,
    LinearSchedule,
    LookupFreeQuantizer,
    ProductQuantizer,
    ProjectedQuantizer,
    Quantizer,
    ResidualBinarySphericalQuantizer,
    ResidualFiniteScalarQuantizer,
    ResidualLookupFreeQuantizer,
    ResidualQuantizer,
    Schedule,
    SimVectorQuantizer,
    SoftConvexQuantizer,
    SoftToHardQuantizer,
    SpaceFillingVectorQuantizer,
    SparseCode,
    StochasticQuantizer,
    VectorQuantizer,
    kmeans,
    rotation_trick,
    spherical_hull,
)
from barycode.quantizers.convex.programs import ConvexProgram, ExactProgram, RelaxedProgram, SplittingProgram
from barycode.quantizers.core.quantizer import Initialization
from barycode.training.autoencoders.alternation import Alternation

DIM = 64
PIXELS_A_VECTOR = 4 * 4 * 3  # values of a picture behind one latent vector
LAMBDA = 0.3  # a tenth of the mean square of latents, which start as blocks of 48 values
USAGE = 0.01  # of the usage loss, beside a squared error in units of the pictures' variance
GRADIENT_RATE = 10.0  # of a codebook that no average moves, over the network's
HARD_SHARE = 0.6  # of the steps, after which annealed codes are hard
REVIVAL = 50  # steps
AVERAGES = EmaUpdate(decay=0.99)  # van den Oord et al. 2017


def near_zero(vectors: Tensor, codebook_size: int) -> Tensor:
    """The start of the first VQ-VAE: uniform in [-1/K, 1/K], whatever the vectors."""
    return (2 * torch.rand(codebook_size, vectors.shape[1]) - 1) / codebook_size


@dataclass(frozen=True)
class Method:
    """A quantizer and how its codebook is started and kept.

    build: (K, d) -> quantizer; None for the plain autoencoder. start: its first codebook from latents.
    update: what moves the codebook; None for the gradient. revival: code vectors that nothing chose in so
    many steps move onto latents; 0 for never. schedule: steps -> what `anneal_to` follows. alternation: what
    fits the codebook before each step. log_likelihood: reconstruct by (1/2) log MSE, as SQ-VAE must, instead
    of MSE / variance. codebook_rate: the learning rate of what the quantizer learns by gradient, as a
    multiple of the network's. latent_dim: channels of the latents for a codebook of K.
    """

    title: str
    build: Callable[[int, int], Quantizer] | None
    start: Initialization | None = None
    update: EmaUpdate | None = None
    revival: int = 0
    schedule: Callable[[int], Schedule | None] = lambda steps: None
    alternation: Callable[[Quantizer], Alternation] | None = None
    log_likelihood: bool = False
    codebook_rate: float = 1.0
    latent_dim: Callable[[int], int] = lambda codebook_size: DIM

    def maintenance(self, quantizer: Quantizer | None, vectors: int) -> CodebookMaintenance | None:
        """What keeps the codebook, where a step has so many vectors; None if nothing does."""
        if quantizer is None or not (self.update or self.revival):
            return None
        patience = self.revival * vectors // quantizer.codebook_size  # vectors a code
        return CodebookMaintenance(quantizer, start=None, update=self.update, patience=patience)

    def alternation_of(self, quantizer: Quantizer | None) -> Alternation | None:
        """What fits the codebook before a step; None if nothing does."""
        return self.alternation(quantizer) if quantizer is not None and self.alternation else None


def scalar_dim(codebook_size: int) -> int:
    """How many coordinates of about eight levels make a grid of K points."""
    return max(1, round(bits(codebook_size) / 3))


def bits(codebook_size: int) -> int:
    """How many signs tell K points apart."""
    return (codebook_size - 1).bit_length()


def curve(vectors: Tensor, codebook_size: int) -> Tensor:
    """k-means, in an order in which each code vector is the nearest to the one before of those left."""
    centers = kmeans(vectors, codebook_size)
    distances = torch.cdist(centers, centers)
    order = [0]
    for _ in range(codebook_size - 1):
        distances[:, order[-1]] = torch.inf
        order.append(int(distances[order[-1]].argmin()))
    return centers[order]


def convex(title: str, program: ConvexProgram, start: Initialization, usage_weight: float = 0.0) -> Method:
    """Soft Convex Quantization with continuous weights."""
    build = partial(SoftConvexQuantizer, program=program, code=None, usage_weight=usage_weight)
    return Method(title, build, start)


def hard_convex(support: int, levels: int) -> Method:
    """Sparse convex codes from the first step; what the encoder learns from is the program's gradient.

    With one index of K it is vector quantization, trained by that gradient instead of a straight-through one.
    """

    def build(codebook_size: int, dim: int) -> Quantizer:
        code = SparseCode(support, levels)
        quantizer = SoftConvexQuantizer(codebook_size, dim, program=ExactProgram(LAMBDA), code=code)
        quantizer.anneal_to(1.0)
        return quantizer

    title = f"SCQ hard throughout, {support} of K, weights in 1/{levels}"
    return Method("VQ by SCQ's gradient" if levels == 1 else title, build, kmeans, AVERAGES, REVIVAL)


def sparse(support: int, levels: int) -> Method:
    """SCQ annealed to sparse convex codes."""
    return Method(
        f"SCQ annealed, {support} of K, weights in 1/{levels}",
        partial(SoftConvexQuantizer, program=ExactProgram(LAMBDA), code=SparseCode(support, levels)),
        kmeans,
        revival=REVIVAL,
        schedule=lambda steps: LinearSchedule(1e-3, 1.0, max(1, int(HARD_SHARE * steps))),
        codebook_rate=GRADIENT_RATE,
    )


def cooled(steps: int) -> Schedule:
    """Temperature 1 to 1/16, reached after four fifths of the steps."""
    return ExponentialSchedule(1.0, 16 ** (-1 / max(1, 0.8 * steps)), stop=1 / 16)


def hardened(steps: int) -> Schedule:
    """sigma 2 to 256, reached after four fifths of the steps."""
    return ExponentialSchedule(2.0, 128 ** (1 / max(1, 0.8 * steps)), stop=256.0)


averaged = partial(Method, update=AVERAGES)
revived = partial(averaged, start=kmeans, revival=REVIVAL)

METHODS = {
    "none": Method("no quantization", None),
    "vq": Method("VQ-VAE", VectorQuantizer, near_zero),
    "vq-ema": averaged("VQ-VAE, EMA", VectorQuantizer, near_zero),
    "vq-revive": revived("VQ-VAE, EMA, k-means, replacement", VectorQuantizer),
    "vq-affine": Method(
        "VQ-VAE, affine + alternated",
        partial(AffineVectorQuantizer, rate=0.3),
        kmeans,
        revival=REVIVAL,
        alternation=partial(Alternation, learning_rate=50.0),
    ),
    "rotation": revived("VQ-VAE, rotation trick", partial(VectorQuantizer, estimator=rotation_trick)),
    "gumbel": Method("Gumbel", GumbelQuantizer, kmeans, schedule=cooled),
    "sq-vae": Method(
        "SQ-VAE",
        partial(StochasticQuantizer, loss_weight=1 / PIXELS_A_VECTOR),
        kmeans,
        schedule=cooled,
        log_likelihood=True,
    ),
    "residual-2": revived("residual, 2 stages", partial(ResidualQuantizer, stages=2)),
    "residual-4": revived("residual, 4 stages", partial(ResidualQuantizer, stages=4)),
    "product-2": revived("product, 2 groups", partial(ProductQuantizer, groups=2)),
    "fsq": Method("FSQ", FiniteScalarQuantizer, latent_dim=scalar_dim),
    "residual-fsq": Method("residual FSQ, 2 stages", ResidualFiniteScalarQuantizer, latent_dim=scalar_dim),
    "lfq": Method("LFQ", LookupFreeQuantizer, latent_dim=bits),
    "bsq": Method("BSQ", BinarySphericalQuantizer, latent_dim=bits),
    "residual-lfq": Method("residual LFQ, 2 stages", ResidualLookupFreeQuantizer, latent_dim=bits),
    "residual-bsq": Method("residual BSQ, 2 stages", ResidualBinarySphericalQuantizer, latent_dim=bits),
    "simvq": Method("SimVQ", SimVectorQuantizer, kmeans),
    "cosine": revived("VQ by cosine", CosineVectorQuantizer),
    "projected": revived("VQ in 8 dimensions", partial(ProjectedQuantizer, codebook_dim=8)),
    "diveq": Method(
        "DiVeQ", DirectionalVectorQuantizer, kmeans, revival=REVIVAL, codebook_rate=GRADIENT_RATE
    ),
    "sf-diveq": Method("SF-DiVeQ", SpaceFillingVectorQuantizer, curve, codebook_rate=GRADIENT_RATE),
    "soft-to-hard": Method(
        "soft-to-hard VQ", SoftToHardQuantizer, kmeans, schedule=hardened, codebook_rate=GRADIENT_RATE
    ),
    # The relaxation removes a few hundredths of VQ's error, so it needs code vectors amid the latents.
    "scq-relaxed": convex("SCQ relaxed (continuous)", RelaxedProgram(LAMBDA), kmeans),
    "scq-exact": convex("SCQ exact (continuous)", ExactProgram(LAMBDA), spherical_hull, USAGE),
    **{
        f"scq-splitting-{steps}": convex(
            f"SCQ, {steps} splitting step{'s' * (steps != 1)} (continuous)",
            SplittingProgram(LAMBDA, steps=steps),
            spherical_hull,
            USAGE,
        )
        for steps in (0, 1, 2)
    },
    "scq-lambda-1.0": convex("SCQ exact, lambda 1 (continuous)", ExactProgram(1.0), spherical_hull, USAGE),
    **{
        f"scq-iterations-{count}": convex(
            f"SCQ, {count} iteration{'s' * (count > 1)} (continuous)",
            ExactProgram(LAMBDA, max_iterations=count),
            spherical_hull,
            USAGE,
        )
        for count in (1, 3)
    },
    "hard-1-1": hard_convex(1, 1),
    "hard-2-2": hard_convex(2, 2),
    "hard-2-3": hard_convex(2, 3),
    "hard-3-4": hard_convex(3, 4),
    "hard-4-4": hard_convex(4, 4),
    "sparse-2-2": sparse(2, 2),
    "sparse-2-3": sparse(2, 3),
}


def find_method(name: str) -> Method:
    """A method by its name; InvalidInputError if there is none."""
    if name not in METHODS:
        raise InvalidInputError(f"There is no method {name!r}; choose from {', '.join(METHODS)}.")
    return METHODS[name]
