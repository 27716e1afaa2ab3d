"""Code vectors: slices whose spatial patches are quantized together.

A patch of d codes of one band is one symbol: a center of the slice's codebook, or the escape, after which its
members follow as scalars, under the tables of their family. What contexts predict of the members is used as
for scalars: means are subtracted and their signs folded away, and the scales, as the sum of the magnitudes
that their classes stand for, pick the table. Centers are multiples of 1/16 of a code, so that a decoder
computes with integers. A slice that was never fitted escapes always: it is the slice of scalars.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.images.coding import read_codes, write_codes
from barycode.images.prediction import CLASSES, CLASSES_AN_OCTAVE, Classes, Prediction
from barycode.images.slices import SLICES, Shape
from barycode.images.walk import Step
from barycode.rate import FrequencyTables, SymbolDecoder, SymbolEncoder
from barycode.rate.entropy_constrained import cheapest
from barycode.rate.integer_network import round_through

UNIT = 16  # of centers and of magnitudes
REACH = 1023  # centers stay within so many codes
DIMENSIONS = (2, 3, 4)
MOST_CENTERS = 2**12
CLASSES_EACH_OCTAVE = 4
ROWS = CLASSES * CLASSES_EACH_OCTAVE // CLASSES_AN_OCTAVE
MAGNITUDES = torch.from_numpy(np.rint(UNIT * 2 ** (np.arange(CLASSES) / CLASSES_AN_OCTAVE)).astype(np.int64))
THRESHOLDS = torch.from_numpy(
    np.rint(UNIT * 2 ** (np.arange(1, ROWS) / CLASSES_EACH_OCTAVE)).astype(np.int64)
)
NEIGHBOURS = 3  # centers beside the best one that a soft choice is between
NEVER = 2.0**-20  # the share of all centers together before there is any experience


@dataclass(frozen=True)
class VectorShape:
    """How slice `index` is cut into patches of `height` x `width` blocks, and how many centers it has."""

    index: int
    height: int
    width: int
    centers: int

    def __post_init__(self) -> None:
        if (
            self.index not in range(len(SLICES))
            or min(self.height, self.width) < 1
            or self.dimension not in DIMENSIONS
            or not 1 <= self.centers <= MOST_CENTERS
        ):
            raise InvalidInputError(
                f"{self} is not a slice of code vectors: expected an index below {len(SLICES)}, patches of 2 "
                f"to 4 blocks, and 1 to {MOST_CENTERS} centers."
            )

    @property
    def patch(self) -> Shape:
        return self.height, self.width

    @property
    def dimension(self) -> int:
        return self.height * self.width


class VectorSlice(nn.Module):
    """The codebook of a slice, K centers (K, d) in codes, and its tables of K + 1 symbols."""

    def __init__(self, shape: VectorShape, tables: FrequencyTables | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.centers = nn.Parameter(torch.zeros(shape.centers, shape.dimension))
        self.tables = tables if tables is not None else _always_escape(shape.centers)

    @property
    def escape(self) -> int:
        """The symbol that says that scalars follow."""
        return self.shape.centers

    def points(self) -> Tensor:
        """The centers (K, d) that count: multiples of 1/16."""
        return round_through((self.centers * UNIT).clamp(-REACH * UNIT, REACH * UNIT)) / UNIT

    def rows(self, prediction: Prediction) -> Tensor:
        """The table (B, bands, n) of every patch, from what is predicted of its members."""
        classes = prediction.scale.floor().clamp(0, CLASSES - 1).long()
        totals = MAGNITUDES[self._patches(classes)].sum(-1)
        return torch.bucketize(totals, THRESHOLDS * self.shape.dimension, right=True)

    def symbols(self, codes: Tensor, classes: Classes) -> Tensor:
        """The center (B, bands, n) that each patch of codes (B, bands, n d) is exactly, or the escape."""
        known, order = _keys(self.points().detach()).sort(stable=True)
        keys = _keys(self._patches(classes.symbols(codes)))
        found = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
        return torch.where(known[found] == keys, order[found], self.escape)

    def codes(self, symbols: Tensor, classes: Classes) -> Tensor:
        """The codes (B, bands, n d) of centers (B, bands, n)."""
        return classes.codes(self.points()[symbols].flatten(-2))

    def options(self, ratio: Tensor, step: Step, rate_weight: float) -> tuple[Tensor, Tensor, Tensor]:
        """Centers worth considering for coefficients / step (B, bands, n d): the cheapest by squared error +
        rate_weight * bits, and those closest to it.

        Their codes (C, B, bands, n d) and bits (C, B, bands, n), and the bits (B, bands, n) of the escape.
        """
        classes = step.classes
        rows = self.rows(step.prediction)
        lengths = torch.from_numpy(self.tables.code_lengths())
        points = self.points()
        folded = self._patches(classes.symbols(ratio.detach()))
        best = cheapest(
            folded.flatten(0, -2), rows.flatten(), points.detach(), rate_weight * lengths[:, : self.escape]
        )
        around = _closest(points.detach())[best].T.unflatten(1, rows.shape)
        codes = classes.codes(points[around].flatten(-2))
        return codes, lengths[rows.expand_as(around), around], lengths[rows, self.escape]

    def write(self, coder: SymbolEncoder, scalars: FrequencyTables, step: Step, codes: Tensor) -> None:
        """Append the codes (B, bands, n d) of a step: first all patches, then the members of the escaped."""
        classes = step.classes
        symbols = self.symbols(codes, classes)
        coder.encode(symbols.numpy().ravel(), self.tables, self.rows(step.prediction).numpy().ravel())
        escaped = self._members(symbols == self.escape)
        write_codes(coder, scalars, classes.at(escaped), codes[escaped])

    def read(self, decoder: SymbolDecoder, scalars: FrequencyTables, step: Step) -> Tensor:
        """The codes (B, bands, n d) that `write` appended."""
        classes = step.classes
        rows = self.rows(step.prediction)
        symbols = torch.from_numpy(decoder.decode(self.tables, rows.numpy().ravel())).view(rows.shape).long()
        escaped = self._members(symbols == self.escape)
        codes = self.codes(symbols.clamp(max=self.escape - 1), classes)
        codes[escaped] = read_codes(decoder, scalars, classes.at(escaped))
        return codes

    def _patches(self, members: Tensor) -> Tensor:
        return members.unflatten(-1, (-1, self.shape.dimension))

    def _members(self, patches: Tensor) -> Tensor:
        return patches.repeat_interleave(self.shape.dimension, -1)


def _always_escape(centers: int) -> FrequencyTables:
    shares = np.full((ROWS, centers + 1), NEVER / centers)
    shares[:, -1] = 1 - NEVER
    return FrequencyTables.from_counts(shares)


def _closest(points: Tensor) -> Tensor:
    """(K, up to 1 + NEIGHBOURS) centers by their distance from each, itself first."""
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(-1)
    return distances.topk(min(1 + NEIGHBOURS, len(points)), largest=False).indices


def _keys(vectors: Tensor) -> Tensor:
    """One integer for each vector (..., d) of multiples of 1/16, the same only for the same vector as long
    as no member is beyond the reach of centers.
    """
    limit = UNIT * (REACH + 1)
    parts = (vectors * UNIT).clamp(-limit, limit).long() + limit
    keys = parts[..., 0]
    for part in parts.unbind(-1)[1:]:
        keys = keys * (2 * limit + 1) + part
    return keys
