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
from barycode.simplex.centered_codebook import CenteredCodebook
from barycode.simplex.exact import certificate, exact_weights
from barycode.simplex.relaxation import relaxed_weights
from barycode.simplex.sparse import combine, scatter

TOLERANCE = 1e-6
MAX_ITERATIONS = 2000  # far beyond what is needed: the method ends by itself
FLOAT32_TOLERANCE = 1e-4  # what rounding the weights leaves at a lambda of a hundredth, of codes of length 1
UNRESOLVED, FLOAT32_UNRESOLVED = 1e-9, 1e-3  # of the codebook's squared radius: a smaller lambda drowns


class ConvergenceWarning(UserWarning):
    """Some rows of a program did not reach the tolerance."""


@dataclass(frozen=True)
class ConvexSolution:
    """Points of the simplex over K code vectors, and a certificate of how good they are.

    values, indices: (N, s) the non-zero weights and the code vectors that they belong to, s the largest
    support; spare places weigh 0. codebook: (K, d). iterations: (N,) systems solved. tolerance: of the
    residual, FLOAT32_TOLERANCE at least for weights in float32. certify: how the residual is computed, once
    it is asked for.
    """

    values: Float[Tensor, "n s"]
    indices: Int64[Tensor, "n s"]
    codebook: Float[Tensor, "k d"]
    iterations: Int64[Tensor, " n"]
    regularization: Float[Tensor, ""]
    tolerance: float
    certify: Callable[[], Tensor]

    @cached_property
    def residual(self) -> Float[Tensor, " n"]:
        """(N,) the largest violation of the optimality conditions by these weights, rounded to their dtype.

        With s = p~ + C (z - p C) / lambda and t the mean of s_k - p_k over the support, it is the largest of
        |s_k - p_k - t| on the support and s_k - t elsewhere, in units of a weight: 0 at the optimum alone.
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
            raise ConvergenceError(
                _complaint(self.residual, self.tolerance, self.codebook, self.regularization)
            )
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

    Differentiable once with respect to z, the codebook and lambda (a second derivative raises
    SecondDerivativeError): the solution by the optimality conditions on its support, the relaxation by the
    chain rule. Works in float64 inside, block by block, with the codebook around its mean and of radius 1,
    and returns the dtype of z. A lambda below 1e-13 of the squared radius, which float64 does not resolve,
    is taken to be that. Warns with ConvergenceWarning where the solver missed the tolerance (never for the
    relaxation, which has none); `converged` judges what is returned, after rounding. Raises InvalidInputError
    for shapes that do not fit, numbers that are not finite, and lambda <= 0.
    """
    scale = _checked(z, codebook, regularization, tolerance, max_iterations)
    if max_iterations:
        values, indices, residual, iterations = exact_weights(z, codebook, scale, tolerance, max_iterations)
        if not bool((residual <= tolerance).all()):
            warnings.warn(_complaint(residual, tolerance, codebook, scale), ConvergenceWarning, stacklevel=2)
    else:
        values, indices = relaxed_weights(z, codebook, scale)
        iterations = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    if z.dtype == torch.float32:
        tolerance = max(tolerance, FLOAT32_TOLERANCE)
    check = partial(certificate, z, codebook, scale, values, indices)
    return ConvexSolution(values, indices, codebook, iterations, scale, tolerance, check)


def _complaint(residual: Tensor, tolerance: float, codebook: Tensor, regularization: Tensor) -> str:
    missed = int((~(residual <= tolerance)).sum())
    return (
        f"{missed} of {len(residual)} vectors missed the tolerance of the convex program: the largest "
        f"residual is {float(residual.max()):.1e}. {_advice(codebook, float(regularization.detach()))}"
    )


def _advice(codebook: Tensor, regularization: float) -> str:
    double = codebook.dtype == torch.float64
    radius = CenteredCodebook.of(codebook).radius
    least = (UNRESOLVED if double else FLOAT32_UNRESOLVED) * radius * radius
    if regularization >= least:
        return "Allow more iterations, a larger tolerance, or a larger lambda."
    return (
        f"Rounding hides a lambda of {regularization:.1e} where code vectors lie as far as {radius:.1e} from "
        f"their mean: choose one above {least:.1e}{'' if double else ', or float64'}."
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
