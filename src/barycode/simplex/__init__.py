"""Pure functions on the probability simplex."""

from barycode.simplex.projection import project_simplex

__all__ = ["project_simplex"]
