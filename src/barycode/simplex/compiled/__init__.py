"""The exact program of Soft Convex Quantization compiled by numba: an extra, several times as quick.

What is here finds what `barycode.simplex.active_set` and `barycode.simplex.centered_codebook` find, up to the
order of sums, for codebooks on a CPU that are small enough to have their inner products at hand.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from barycode.machine_code import INSTALLED
from barycode.simplex.active_set import Optimum, Program
from barycode.simplex.centered_codebook import CenteredCodebook

MANY = 2  # times d code vectors, from which on d equations are fewer operations than one for each of them


def applies(codes: CenteredCodebook) -> bool:
    """Whether there is a compiled method for a codebook."""
    return INSTALLED and codes.gram is not None and codes.vectors.device.type == "cpu"


def solve(program: Program, z: Tensor, vertex: Tensor, start: tuple[Tensor, Tensor] | None = None) -> Optimum:
    """What `Program.solve` finds, of placed z (n, d) and vertices (n,), from sparse weights or from none."""
    codes, shift = program.codes, program.regularization
    method = import_module("barycode.simplex.compiled.active_set")
    z = z.contiguous()  # what is compiled is so for one layout
    inner = z @ codes.vectors.T
    inner[:, codes.size :] = -torch.inf
    limits = method.Limits(shift, shift * program.tolerance, program.max_iterations)
    book = _book(codes, shift, program.accuracy)
    weights, indices = start or (z.new_empty(len(z), 0), vertex.new_empty(len(z), 0))
    first = weights.double().numpy(), indices.numpy()
    found = method.solve_rows(book, limits, z.numpy(), inner.numpy(), vertex.numpy(), first)
    return Optimum(*(torch.from_numpy(part) for part in found))


def solve_systems(
    codes: CenteredCodebook, indices: Tensor, shift: float, right: Tensor, total: float, accuracy: float
) -> Tensor:
    """What `CenteredCodebook.solve` finds."""
    systems = import_module("barycode.simplex.compiled.systems")
    chosen = torch.where(indices < codes.size, indices, -1).contiguous()
    book = _book(codes, shift, accuracy)
    return torch.from_numpy(
        systems.solve_rows(book, shift, chosen.numpy(), right.contiguous().numpy(), total)
    )


def _book(codes: CenteredCodebook, shift: float, accuracy: float) -> tuple[Any, ...]:
    systems = import_module("barycode.simplex.compiled.systems")
    longest = min(len(codes.vectors), MANY * codes.longest(shift, accuracy))
    book: tuple[Any, ...] = systems.Book(codes.vectors.numpy(), cast(Tensor, codes.gram).numpy(), longest)
    return book
