"""Vector quantizers, drop-in replacements for each other: `quantized, indices, loss = quantizer(z)`."""

from barycode.quantizers.codebook.codebook import Codebook, revive, worst_quantized
from barycode.quantizers.codebook.health import CodebookHealth, QuantizerHealth
from barycode.quantizers.codebook.initialization import farthest, kmeans, sample, uniform
from barycode.quantizers.codebook.maintenance import CodebookMaintenance
from barycode.quantizers.codebook.orthogonality import orthogonality
from barycode.quantizers.codebook.ranks import gather
from barycode.quantizers.codebook.statistics import CodebookStatistics, sync
from barycode.quantizers.codebook.updates import EmaUpdate
from barycode.quantizers.composed.product import ProductQuantizer
from barycode.quantizers.composed.projected import ProjectedQuantizer
from barycode.quantizers.composed.residual import ResidualQuantizer, SharedStages
from barycode.quantizers.composed.residual_search import BeamSearch, GreedySearch, ResidualSearch
from barycode.quantizers.composed.stage_dropout import StageDropout
from barycode.quantizers.convex.archetypes import archetypes
from barycode.quantizers.convex.programs import ConvexProgram, ExactProgram, RelaxedProgram, SplittingProgram
from barycode.quantizers.convex.soft_convex import SoftConvexQuantizer
from barycode.quantizers.convex.sparse_code import SparseCode
from barycode.quantizers.convex.spherical_hull import spherical_hull
from barycode.quantizers.core.assignment import (
    Assignment,
    DenseAssignment,
    OneHotAssignment,
    ProductAssignment,
    SparseAssignment,
)
from barycode.quantizers.core.bypass import no_quantization
from barycode.quantizers.core.estimators import rotation_trick, straight_through
from barycode.quantizers.core.feature_map import FeatureMap
from barycode.quantizers.core.masks import length_mask, quantize_masked
from barycode.quantizers.core.quantized import Quantized
from barycode.quantizers.core.quantizer import CollapseWarning, Quantizer, SingleCodebook
from barycode.quantizers.nearest.affine import AffineVectorQuantizer
from barycode.quantizers.nearest.cosine import CosineVectorQuantizer
from barycode.quantizers.nearest.directional import DirectionalVectorQuantizer
from barycode.quantizers.nearest.linear_map import SimVectorQuantizer
from barycode.quantizers.nearest.space_filling import SpaceFillingVectorQuantizer
from barycode.quantizers.nearest.vector import VectorQuantizer
from barycode.quantizers.scalar.binary_spherical import BinarySphericalQuantizer
from barycode.quantizers.scalar.finite_scalar import FiniteScalarQuantizer
from barycode.quantizers.scalar.lookup_free import LookupFreeQuantizer
from barycode.quantizers.scalar.residual_binary_spherical import ResidualBinarySphericalQuantizer
from barycode.quantizers.scalar.residual_finite_scalar import ResidualFiniteScalarQuantizer
from barycode.quantizers.scalar.residual_lookup_free import ResidualLookupFreeQuantizer
from barycode.quantizers.soft.gumbel import GumbelQuantizer
from barycode.quantizers.soft.schedules import (
    ExponentialSchedule,
    GapControlledSchedule,
    LinearSchedule,
    Schedule,
)
from barycode.quantizers.soft.soft_assignment import SoftAssignment
from barycode.quantizers.soft.soft_to_hard import SoftToHardQuantizer
from barycode.quantizers.soft.stochastic import StochasticQuantizer
from barycode.simplex.nearest import nearest

__all__ = [
    "AffineVectorQuantizer",
    "Assignment",
    "BeamSearch",
    "BinarySphericalQuantizer",
    "Codebook",
    "CodebookHealth",
    "CodebookMaintenance",
    "CodebookStatistics",
    "CollapseWarning",
    "ConvexProgram",
    "CosineVectorQuantizer",
    "DenseAssignment",
    "DirectionalVectorQuantizer",
    "EmaUpdate",
    "ExactProgram",
    "ExponentialSchedule",
    "FeatureMap",
    "FiniteScalarQuantizer",
    "GapControlledSchedule",
    "GreedySearch",
    "GumbelQuantizer",
    "LinearSchedule",
    "LookupFreeQuantizer",
    "OneHotAssignment",
    "ProductAssignment",
    "ProductQuantizer",
    "ProjectedQuantizer",
    "Quantized",
    "Quantizer",
    "QuantizerHealth",
    "RelaxedProgram",
    "ResidualBinarySphericalQuantizer",
    "ResidualFiniteScalarQuantizer",
    "ResidualLookupFreeQuantizer",
    "ResidualQuantizer",
    "ResidualSearch",
    "Schedule",
    "SharedStages",
    "SimVectorQuantizer",
    "SingleCodebook",
    "SoftAssignment",
    "SoftConvexQuantizer",
    "SoftToHardQuantizer",
    "SpaceFillingVectorQuantizer",
    "SparseAssignment",
    "SparseCode",
    "SplittingProgram",
    "StageDropout",
    "StochasticQuantizer",
    "VectorQuantizer",
    "archetypes",
    "farthest",
    "gather",
    "kmeans",
    "length_mask",
    "nearest",
    "no_quantization",
    "orthogonality",
    "quantize_masked",
    "revive",
    "rotation_trick",
    "sample",
    "spherical_hull",
    "straight_through",
    "sync",
    "uniform",
    "worst_quantized",
]
