"""A part of a file: some tensors under one coder, whose tables learn from one tensor for the next.

In the stream: the exact tensors in order, the scales of all others in order, then their codes, the tensors of one
method and shift as one sequence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from barycode.weights.codes import CLASSES, ZERO_CLASS, CodeCoder
from barycode.weights.directory import Entry
from barycode.weights.exchange import Exchange
from barycode.weights.formats import FLOATS, element_bytes, real_dtype
from barycode.weights.methods import Exact, Method, Trellis
from barycode.weights.planes import Bits, FloatCoder, IntegerCoder
from barycode.weights.scales import Grid, ScaleCoder, Scales

PART_CODES = 2**20  # codes that run through the lanes together
