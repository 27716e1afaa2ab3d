"""Pure functions on the probability simplex."""

from barycode.simplex.convex_program import (
    ConvergenceWarning,
    ConvexSolution,
    solve_convex_program,
)
from barycode.simplex.projection import project_simplex

__all__ = ["ConvergenceWarning", "ConvexSolution", "project_simplex", "solve_convex_program"]
