"""Entropy-constrained vector quantization with integer tables (Chou, Lookabaugh, Gray, IEEE TASSP 1989)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from barycode.quantizers.codebook.initialization import kmeans
from barycode.quantizers.codebook.statistics import CodebookStatistics
from barycode.rate.symbols import SymbolEncoder
from barycode.rate.tables import FrequencyTables
from barycode.simplex.nearest import nearest

PRIOR = 20.0  # vectors' worth of the rows around it in every table
FADE = 4.0  # how much less a row counts than one that is nearer by one
UNSEEN = 0.02  # of the overall histogram: a center that no training vector chose
SPREAD = 4  # one center in so many starts at a k-means cluster, the others at frequent lattice points
DEAD_ZONE = 0.6


@dataclass(frozen=True)
class VectorCoder:
    """Centers (K, d), integer tables (rows, K), and lambda: squared error that one bit is worth."""

    centers: Tensor
    tables: FrequencyTables
    rate_weight: float

    def choose(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """argmin_k ||x - c_k||^2 + lambda L[row, k]: int64 (n,)."""
        prices = self.rate_weight * torch.from_numpy(self.tables.code_lengths())
        return cheapest(vectors, rows, self.centers, prices)

    def cost(self, vectors: Tensor, rows: Tensor) -> float:
        """D + lambda R a coefficient, with R by the tables' code lengths."""
        indices = self.choose(vectors, rows)
        bits = self.tables.code_lengths()[rows.numpy(), indices.numpy()].sum(dtype=np.float64)
        error = (vectors - self.centers[indices]).double().square().sum()
        return (float(error) + self.rate_weight * float(bits)) / vectors.numel()

    def encode(self, indices: Tensor, rows: Tensor) -> bytes:
        """The bytes of the symbols under their rows."""
        encoder = SymbolEncoder()
        encoder.encode(indices.numpy(), self.tables, rows.numpy())
        return encoder.finish()


def cheapest(vectors: Tensor, rows: Tensor, centers: Tensor, prices: Tensor) -> Tensor:
    """argmin_k ||x - c_k||^2 + prices[row, k] for vectors (n, d), rows (n,), prices (rows, K): int64 (n,).

    The price is one more coordinate, in which a vector is 0 and a center sqrt(price): what is left is the
    nearest neighbour.
    """
    lifted = torch.nn.functional.pad(vectors, (0, 1))
    indices = torch.empty(len(vectors), dtype=torch.int64)
    for row in rows.unique().tolist():
        places = (rows == row).nonzero()[:, 0]
        indices[places] = nearest(lifted[places], torch.cat([centers, prices[row].sqrt()[:, None]], 1))
    return indices


def fit(start: VectorCoder, vectors: Tensor, rows: Tensor, iterations: int) -> VectorCoder:
    """Generalised Lloyd: choices, then tables and centroids, each lowering D + lambda R on the vectors."""
    coder = start
    for _ in range(iterations):
        indices = coder.choose(vectors, rows)
        statistics = CodebookStatistics.gather(vectors, indices, len(coder.centers))
        means = statistics.sums / statistics.counts.clamp_min(1)[:, None]
        centers = torch.where(statistics.counts[:, None] > 0, means, coder.centers).float()
        coder = replace(coder, centers=centers, tables=tables_of(indices, rows, coder.tables.counts.shape))
    return coder


def tables_of(indices: Tensor, rows: Tensor, shape: tuple[int, ...]) -> FrequencyTables:
    """Tables (rows, K) from the symbols of each row."""
    counts = np.zeros(shape)
    np.add.at(counts, (rows.numpy(), indices.numpy()), 1)
    return smoothed_tables(counts)


def smoothed_tables(counts: np.ndarray) -> FrequencyTables:
    """Tables from counts (rows, K), each leaning on the rows around it: rows are classes of a scale, in
    order.
    """
    rows = np.arange(len(counts))
    overall = counts.sum(0) + UNSEEN
    around = FADE ** -np.abs(rows[:, None] - rows).astype(float) @ counts + overall / overall.sum()
    return FrequencyTables.from_counts(counts + PRIOR * around / around.sum(1, keepdims=True))


def begin(vectors: Tensor, size: int, rate_weight: float, seed: int) -> VectorCoder:
    """A coder with one flat table to `fit`: frequent lattice points for the bulk, k-means for the tails."""
    if vectors.shape[1] == 1:
        centers = torch.arange(size).float()[:, None] - size // 2
    else:
        generator = torch.Generator().manual_seed(seed)
        points = (vectors.sign() * (vectors.abs() + 1 - DEAD_ZONE).floor()).int()
        lattice, counts = points.unique(dim=0, return_counts=True)
        frequent = lattice[counts.argsort(descending=True, stable=True)[: size - size // SPREAD]].float()
        spread = kmeans(vectors, size - len(frequent), iterations=5, generator=generator)
        centers = torch.cat([frequent, spread])
    return VectorCoder(centers, FrequencyTables.from_counts(np.ones((1, size))), rate_weight)


def with_rows(coder: VectorCoder, indices: Tensor, rows: Tensor, count: int) -> VectorCoder:
    """The same centers with `count` tables, fitted to choices already made."""
    return replace(coder, tables=tables_of(indices, rows, (count, len(coder.centers))))
