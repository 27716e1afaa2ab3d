"""An active-set method for the program of Soft Convex Quantization, for a block of vectors at once.

On a support S the optimum without the sign constraint is one linear system,

    (C_S C_S^T + lambda I) p_S = C_S z + lambda p~_S - nu 1,      sum(p_S) = 1.

A row drops the code vectors whose weight is negative there, and adds those that the optimality conditions
ask for: with u = z - p C, s = p~ + C u / lambda and t the mean of s_k - p_k over S, the optimum has
s_k - p_k = t on the support and s_k <= t elsewhere. Both at once is a Newton step for these conditions
(Hintermueller, Ito and Kunisch 2002): quick, but it may raise the objective or go round in circles. A row in
which it did goes on carefully: towards the optimum on S only until the first weight is zero, and nothing is
added before it arrives. Then the objective falls with every addition, no support returns, and the method
ends at the precision of the arithmetic, whatever lambda is. Wolfe (1976) found the nearest point of a
polytope so; Lawson and Hanson (1974) non-negative least squares.

Everything here is float64: duplicate or collinear code vectors and small lambdas need it, and the systems
are only as large as a support.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from barycode.simplex.centered_codebook import CANDIDATES, ENTRIES, CenteredCodebook
from barycode.simplex.sparse import weighted_sum

QUICK = 12  # iterations, after which a row goes on carefully
SLACK = 1e-3  # of the tolerance
WORTH_JOINING = 0.1  # of the largest violation
ROUNDING = 1e-15  # relative; an objective that falls by less does not fall
ROUNDED = 1 / 16
NOISE = 64 * torch.finfo(torch.float64).eps  # relative; a violation of less is rounding


@dataclass(frozen=True)
class Rows:
    """Vectors on their way to the optimum.

    number: (n,) which row of the block. z: (n, d). vertex: (n,) of p~. indices, weights, pull: (n, s) the
    support, its weights and C_S z + lambda p~_S. careful: (n,) whether weights are dropped one by one.
    objective: (n,) at the last addition.
    """

    number: Tensor
    z: Tensor
    vertex: Tensor
    indices: Tensor
    weights: Tensor
    pull: Tensor
    careful: Tensor
    objective: Tensor

    def __getitem__(self, chosen: Tensor | slice) -> Rows:
        return Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.number)


@dataclass
class Optimum:
    """Weights (n, s) and their indices, 0 where the weight is; residual (n,) and iterations (n,)."""

    weights: Tensor
    indices: Tensor
    residual: Tensor
    iterations: Tensor

    def put(self, rows: Rows, residual: Tensor, iteration: int) -> None:
        width = max(self.weights.shape[1], rows.weights.shape[1])
        self.weights, self.indices = _widened(self.weights, width, 0), _widened(self.indices, width, 0)
        self.weights[rows.number] = _widened(rows.weights, width, 0)
        self.indices[rows.number] = _widened(rows.indices, width, 0) * (self.weights[rows.number] > 0)
        self.residual[rows.number] = residual
        self.iterations[rows.number] = iteration


@dataclass(frozen=True)
class Prices:
    """What the optimality conditions say of feasible rows.

    residual: (n,) the largest violation. noise: (n,) what rounding makes of it at the optimum. objective:
    (n,) |u|^2 / 2 + lambda |p - p~|^2 / 2. candidates and violation: (n, m) the code vector of each group
    that would help most, and by how much s_k exceeds t.
    """

    residual: Tensor
    noise: Tensor
    objective: Tensor
    candidates: Tensor
    violation: Tensor


@dataclass(frozen=True)
class Program:
    """A codebook, lambda in its units, and when to stop."""

    codes: CenteredCodebook
    regularization: float
    tolerance: float
    max_iterations: int

    @property
    def accuracy(self) -> float:
        """What a solved system may contribute to a violation."""
        return self.tolerance * SLACK

    def solve(self, z: Tensor, vertex: Tensor, weights: Tensor, indices: Tensor) -> Optimum:
        """The optimum of placed z (n, d), vertices (n,), from sparse weights (n, s) with a good support."""
        rows = self._start(z, vertex, weights.double(), indices)
        found = Optimum(
            torch.zeros_like(rows.weights),
            torch.zeros_like(rows.indices),
            torch.full_like(rows.objective, torch.inf),
            torch.zeros_like(rows.number),
        )
        for iteration in range(1, self.max_iterations + 1):
            rows, feasible = self._reduce(rows)
            last = iteration == self.max_iterations
            if last:
                rows = self._feasible(rows)
            ready = (feasible | ~rows.careful | last).nonzero()[:, 0]
            priced, arrived = rows[ready], feasible[ready]
            prices = self._price(priced)
            worse = arrived & (prices.objective >= priced.objective * (1 - ROUNDING))
            reached = arrived & (prices.residual <= prices.noise.clamp(min=self.tolerance))
            done = reached | (worse & priced.careful) | last
            found.put(priced[done], prices.residual[done], iteration)
            rows.careful[ready] |= worse | (iteration >= QUICK)
            rows.objective[ready] = prices.objective.masked_fill(~arrived, torch.inf)
            going = torch.ones_like(feasible).index_fill_(0, ready[done], False).nonzero()[:, 0]
            if not len(going):
                break
            candidates = rows.indices.new_full((len(rows), CANDIDATES), self.codes.size)
            candidates[ready] = self._joining(prices)
            rows = self._packed(self._join(self._feasible(rows[going]), candidates[going]))
        return found

    def certify(self, z: Tensor, vertex: Tensor, weights: Tensor, indices: Tensor) -> Tensor:
        """The residual (n,) of any sparse weights that sum to one, of placed z (n, d)."""
        rows = self._start(z, vertex, weights.double(), indices)
        residual = torch.empty_like(rows.objective)
        residual[rows.number] = self._price(rows).residual
        return residual

    def _price(self, rows: Rows) -> Prices:
        """Prices of rows whose weights sum to one."""
        count = max(16, ENTRIES // len(self.codes.vectors))
        starts = range(0, max(1, len(rows)), count)
        parts = [self._price_some(rows[start : start + count]) for start in starts]
        return Prices(*(torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Prices)))

    def _price_some(self, rows: Rows) -> Prices:
        dual = rows.z - weighted_sum(rows.weights, rows.indices, self.codes.vectors)
        slack = (dual / self.regularization) @ self.codes.vectors.T
        slack.scatter_add_(1, rows.vertex[:, None], torch.ones_like(slack[:, :1]))
        slack.scatter_add_(1, rows.indices, -rows.weights)
        inside = rows.weights > 0
        held = slack.gather(1, rows.indices)
        level = (held * inside).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True)
        uneven = ((held - level).abs() * inside).amax(-1)
        size = 1 + torch.maximum(slack.amax(-1), -slack.amin(-1))
        size = size + ROUNDED * (1 + rows.z.abs().amax(-1)) / self.regularization  # what is left of z - p C
        slack.scatter_(1, rows.indices, -torch.inf)  # who is there already cannot join
        slack[:, self.codes.size :] = -torch.inf
        groups = slack.unflatten(1, (CANDIDATES, -1))
        best = groups.max(-1)
        start = torch.arange(CANDIDATES, device=slack.device) * groups.shape[2]
        violation = best.values - level
        square = rows.weights.square().sum(-1) + 1
        there = (rows.weights * (rows.indices == rows.vertex[:, None])).sum(-1)
        return Prices(
            torch.maximum(violation.amax(-1), uneven),
            NOISE * size,
            dual.square().sum(-1) / 2 + self.regularization * (square / 2 - there),
            best.indices + start,
            violation,
        )

    def _start(self, z: Tensor, vertex: Tensor, weights: Tensor, indices: Tensor) -> Rows:
        indices = torch.where(weights > 0, indices, self.codes.size)
        rows = Rows(
            torch.arange(len(z), device=z.device),
            z,
            vertex,
            indices,
            weights,
            self._pull(z, vertex, indices),
            torch.zeros_like(vertex, dtype=torch.bool),
            torch.full_like(z[:, 0], torch.inf),
        )
        return self._packed(rows)

    def _pull(self, z: Tensor, vertex: Tensor, indices: Tensor) -> Tensor:
        count = max(16, ENTRIES // max(1, indices.shape[1] * z.shape[1]))
        parts = zip(indices.split(count), z.split(count), strict=True)
        inner = torch.cat([torch.bmm(self.codes.vectors[chosen], one[..., None]) for chosen, one in parts])
        return inner[..., 0] + (indices == vertex[:, None]).to(z.dtype) * self.regularization

    def _reduce(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Rows moved to, or towards, the optimum on their support, and which arrived (n,)."""
        optimum = self.codes.solve(rows.indices, self.regularization, rows.pull, 1.0, self.accuracy)
        negative = optimum < 0
        feasible = ~negative.any(-1)
        room = torch.where(negative, rows.weights / (rows.weights - optimum), torch.inf)
        length = room.amin(-1, keepdim=True).clamp(max=1)
        halfway = (rows.careful & ~feasible)[:, None]
        dropped = halfway & negative & (room <= length)
        towards = rows.weights + length * (optimum - rows.weights)
        weights = torch.where(halfway, towards, optimum).masked_fill(dropped, 0)
        indices = rows.indices.masked_fill(dropped, self.codes.size)
        return replace(rows, weights=weights, indices=indices), feasible

    def _feasible(self, rows: Rows) -> Rows:
        """Rows without the code vectors whose weights are negative."""
        weights = rows.weights.clamp(min=0)
        indices = rows.indices.masked_fill(rows.weights < 0, self.codes.size)
        return replace(rows, weights=weights / weights.sum(-1, keepdim=True), indices=indices)

    def _joining(self, prices: Prices) -> Tensor:
        """The candidates (n, m) that violate the conditions most."""
        most = prices.violation.amax(-1, keepdim=True)
        joins = (prices.violation > self.tolerance) & (prices.violation >= WORTH_JOINING * most)
        return torch.where(joins, prices.candidates, self.codes.size)

    def _join(self, rows: Rows, candidates: Tensor) -> Rows:
        """Rows with the candidates (n, m) added."""
        return replace(
            rows,
            indices=torch.cat([rows.indices, candidates], 1),
            weights=functional.pad(rows.weights, (0, candidates.shape[1])),
            pull=torch.cat([rows.pull, self._pull(rows.z, rows.vertex, candidates)], 1),
        )

    def _packed(self, rows: Rows) -> Rows:
        """The same rows, every support without gaps."""
        sizes = (rows.indices < self.codes.size).sum(-1)
        indices, order = rows.indices.topk(int(sizes.max()), -1, largest=False)
        return replace(
            rows, indices=indices, weights=rows.weights.gather(1, order), pull=rows.pull.gather(1, order)
        )


def _widened(tensor: Tensor, width: int, value: float) -> Tensor:
    return functional.pad(tensor, (0, width - tensor.shape[1]), value=value)
