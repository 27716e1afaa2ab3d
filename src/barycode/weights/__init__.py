"""The network codec: state dicts into small files and back."""

from barycode.weights.allocation.report import Report, TensorReport
from barycode.weights.calibration import Calibration, calibrate
from barycode.weights.codec import Compressed, compress, compress_to, decompress, explain
from barycode.weights.hardened import Hardened
from barycode.weights.loading import load, load_into
from barycode.weights.network_file import NetworkFile, TensorSlice, open
from barycode.weights.request.rules import DEFAULT_RULES, Cluster, Keep, Quantize, Round, Rule, Vectors
from barycode.weights.request.targets import (
    BitsPerWeight,
    Lossless,
    MaxError,
    RelativeError,
    Size,
    Step,
    Target,
)

__all__ = [
    "DEFAULT_RULES",
    "BitsPerWeight",
    "Calibration",
    "Cluster",
    "Compressed",
    "Hardened",
    "Keep",
    "Lossless",
    "MaxError",
    "NetworkFile",
    "Quantize",
    "RelativeError",
    "Report",
    "Round",
    "Rule",
    "Size",
    "Step",
    "Target",
    "TensorReport",
    "TensorSlice",
    "Vectors",
    "calibrate",
    "compress",
    "compress_to",
    "decompress",
    "explain",
    "load",
    "load_into",
    "open",
]
