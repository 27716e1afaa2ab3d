"""The program of Soft Convex Quantization (Gautam et al., 2023), solved and differentiated."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from barycode.errors import ConvergenceError, InvalidInputError
from barycode.simplex.derivatives import certificate, exact_weights
from barycode.simplex.relaxation import relaxed_weights
from barycode.simplex.sparse import combine, scatter

TOLERANCE = 1e-6
MAX_ITERATIONS = 2000  # far beyond what is needed: the method ends by itself


class ConvergenceWarning(UserWarning):
    """Some rows of a program did not reach the tolerance."""


@dataclass(frozen=True)
class ConvexSolution:
    """Points of the simplex over K code vectors, and a certificate of how good they are.

    values, indices: (N, s) the non-zero weights and the code vectors that they belong to, s the largest
    support; spare places weigh 0. codebook: (K, d). iterations: (N,) systems solved. tolerance: of the
    residual. certify: how the residual is computed, once it is asked for.
    """

    values: Float[Tensor, "n s"]
    indices: Int64[Tensor, "n s"]
    codebook: Float[Tensor, "k d"]
    iterations: Int64[Tensor, " n"]
    tolerance: float
    certify: Callable[[], Tensor]

    @cached_property
    def residual(self) -> Float[Tensor, " n"]:
        """(N,) the largest violation of the optimality conditions, in units of a weight.

        With s = p~ + C (z - p C) / lambda and t the mean of s_k - p_k over the support, it is the largest of
        |s_k - p_k - t| on the support and s_k - t elsewhere: 0 at the optimum and nowhere else.
        """
        return self.certify()

    @property
    def converged(self) -> Bool[Tensor, " n"]:
        """(N,) whether the residual reached the tolerance."""
        return self.residual <= self.tolerance

    @property
    def weights(self) -> Float[Tensor, "n k"]:
        """p (N, K), dense; differentiable."""
        return scatter(self.values, self.indices, len(self.codebook))

    @property
    def combined(self) -> Float[Tensor, "n d"]:
        """p C (N, d), without N x K memory; differentiable."""
        return combine(self.values, self.indices, self.codebook)

    @property
    def support(self) -> Int64[Tensor, " n"]:
        """(N,) how many code vectors have a positive weight."""
        return (self.values > 0).sum(-1)

    def require_convergence(self) -> "ConvexSolution":
        """Itself; raises ConvergenceError where a row did not converge."""
        if not bool(self.converged.all()):
            raise ConvergenceError(_complaint(self))
        return self


def solve_convex_program(
    z: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    regularization: float | Tensor,
    *,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> ConvexSolution:
    """argmin_p ||z - p C||^2 + lambda ||p - p~||^2 over the simplex, p~ the vertex nearest to z.

    z (N, d), codebook C (K, d), regularization lambda > 0, a number or a tensor of one. This is Algorithm 1
    of the paper. With `max_iterations=0` it is Algorithm 2, the relaxation: the minimiser without the
    constraint, projected onto the simplex. A solve cut short by
    `max_iterations` returns points of the simplex all the same, after one or two iterations possibly worse
    ones than the relaxation's.

    Differentiable once with respect to z, the codebook and lambda: the solution by the optimality conditions
    on its support, the relaxation by the chain rule. Works in float64 inside, block by block, and returns
    the dtype of z. Warns with ConvergenceWarning where rows did not reach the tolerance (never for the
    relaxation, which has none); raises InvalidInputError for shapes that do not fit, numbers that are not
    finite, and lambda <= 0.
    """
    scale = _checked(z, codebook, regularization, tolerance, max_iterations)
    if max_iterations:
        values, indices, residual, iterations = exact_weights(z, codebook, scale, tolerance, max_iterations)
        solution = ConvexSolution(values, indices, codebook, iterations, tolerance, lambda: residual)
    else:
        values, indices = relaxed_weights(z, codebook, scale)
        none = torch.zeros(len(z), dtype=torch.int64, device=z.device)
        check = partial(certificate, z, codebook, scale, values, indices)
        solution = ConvexSolution(values, indices, codebook, none, tolerance, check)
    if max_iterations and not bool(solution.converged.all()):
        warnings.warn(_complaint(solution), ConvergenceWarning, stacklevel=2)
    return solution


def _complaint(solution: ConvexSolution) -> str:
    missed = int((~solution.converged).sum())
    return (
        f"{missed} of {len(solution.converged)} vectors missed the tolerance of the convex program: the "
        f"largest residual is {float(solution.residual.max()):.1e}. Allow more iterations, a larger "
        "tolerance, or a larger lambda."
    )


def _checked(
    z: Tensor, codebook: Tensor, regularization: float | Tensor, tolerance: float, max_iterations: int
) -> Tensor:
    """lambda as a tensor, after the checks that raise InvalidInputError."""
    for name, value in (("z", z), ("codebook", codebook)):
        if value.ndim != 2 or not value.is_floating_point():
            raise InvalidInputError(
                f"The convex program needs {name} as a floating-point matrix, not {value.dtype} of shape "
                f"{tuple(value.shape)}: reshape vectors to (N, d)."
            )
    if z.dtype != codebook.dtype or z.dtype not in (torch.float32, torch.float64):
        raise InvalidInputError(
            f"The convex program works in float32 or float64, not with z in {z.dtype} and the codebook in "
            f"{codebook.dtype}: convert both to one of them."
        )
    if z.shape[1] != codebook.shape[1] or codebook.numel() == 0:
        raise InvalidInputError(
            f"The vectors {tuple(z.shape)} and the codebook {tuple(codebook.shape)} do not fit: expected "
            "(N, d) and (K, d) with the same d and K >= 1."
        )
    if not bool(z.isfinite().all()) or not bool(codebook.isfinite().all()):
        raise InvalidInputError("The convex program received a NaN or an infinity: check z and the codebook.")
    scale = torch.as_tensor(regularization, dtype=torch.float64, device=z.device)
    if scale.numel() != 1 or not 0 < float(scale.detach()) < math.inf:
        raise InvalidInputError(f"lambda must be one positive number, not {regularization}.")
    if not tolerance > 0 or max_iterations < 0:
        raise InvalidInputError(
            f"Expected tolerance > 0 and max_iterations >= 0, not {tolerance} and {max_iterations}."
        )
    return scale.reshape(())
