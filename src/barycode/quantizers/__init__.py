"""Vector quantizers, drop-in replacements for each other: `quantized, indices, loss = quantizer(z)`."""

from barycode.quantizers.affine import AffineVectorQuantizer
from barycode.quantizers.archetypes import archetypes
from barycode.quantizers.assignment import Assignment, Dense, OneHot, Parts, Sparse
from barycode.quantizers.bypass import no_quantization
from barycode.quantizers.codebook import Codebook, revive, worst_served
from barycode.quantizers.convex import SoftConvexQuantizer
from barycode.quantizers.estimators import rotation_trick, straight_through
from barycode.quantizers.feature_map import FeatureMap
from barycode.quantizers.finite_scalar import FiniteScalarQuantizer
from barycode.quantizers.gumbel import GumbelQuantizer
from barycode.quantizers.health import CodebookHealth
from barycode.quantizers.initialization import farthest, kmeans, sample, uniform
from barycode.quantizers.product import ProductQuantizer
from barycode.quantizers.programs import Exact, Program, Relaxed
from barycode.quantizers.quantized import Quantized
from barycode.quantizers.quantizer import Quantizer, SingleCodebook
from barycode.quantizers.residual import ResidualQuantizer
from barycode.quantizers.schedules import Exponential, GapControlled, Linear, Schedule
from barycode.quantizers.soft_assignment import SoftAssignment
from barycode.quantizers.soft_to_hard import SoftToHardQuantizer
from barycode.quantizers.sparse_code import SparseCode
from barycode.quantizers.statistics import CodebookStatistics, sync
from barycode.quantizers.stochastic import StochasticQuantizer
from barycode.quantizers.surround import surround
from barycode.quantizers.updates import EmaUpdate
from barycode.quantizers.vector import VectorQuantizer
from barycode.simplex.nearest import nearest

__all__ = [
    "AffineVectorQuantizer",
    "Assignment",
    "Codebook",
    "CodebookHealth",
    "CodebookStatistics",
    "Dense",
    "EmaUpdate",
    "Exact",
    "Exponential",
    "FeatureMap",
    "FiniteScalarQuantizer",
    "GapControlled",
    "GumbelQuantizer",
    "Linear",
    "OneHot",
    "Parts",
    "ProductQuantizer",
    "Program",
    "Quantized",
    "Quantizer",
    "Relaxed",
    "ResidualQuantizer",
    "Schedule",
    "SingleCodebook",
    "SoftAssignment",
    "SoftConvexQuantizer",
    "SoftToHardQuantizer",
    "Sparse",
    "SparseCode",
    "StochasticQuantizer",
    "VectorQuantizer",
    "archetypes",
    "farthest",
    "kmeans",
    "nearest",
    "no_quantization",
    "revive",
    "rotation_trick",
    "sample",
    "straight_through",
    "surround",
    "sync",
    "uniform",
    "worst_served",
]
