"""The program of Soft Convex Quantization beside general solvers: time per vector, and who is right.

    python benchmarks/peers.py
    .venv-peers/bin/python benchmarks/convex_program.py --output benchmarks/results/convex_program.json
    .venv-peers-qpth/bin/python benchmarks/convex_program.py --output benchmarks/results/qpth.json

Every solver that the environment has runs once a round, in turn, with as many vectors as its speed allows;
times are per vector, and ratios are taken round by round to ours with 1024 vectors.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from barycode.benchmarks.timing import quartiles, report, save, take_turns
from barycode.quantizers import nearest
from barycode.simplex import project_simplex, solve_convex_program

DIM, SIZE, REGULARIZATION, ACCURACY = 16, 64, 0.1, 1e-6
OURS = "barycode"
Solver = Callable[["Problem"], Tensor]


@dataclass(frozen=True)
class Problem:
    """z (n, d), a codebook (K, d), and the gradient (n, K) that arrives at the weights."""

    z: Tensor
    codebook: Tensor
    gradient: Tensor

    @classmethod
    def draw(cls, count: int, where: str) -> Problem:
        """Vectors inside or (mostly) outside of the codebook's hull, in float64."""
        generator = torch.Generator().manual_seed(0)
        codebook = torch.nn.functional.normalize(_normal(SIZE, DIM, generator), dim=1)
        if where == "inside":
            torch.manual_seed(0)
            mixing = torch.distributions.Dirichlet(torch.full((SIZE,), 0.1, dtype=torch.float64))
            z = mixing.sample((count,)) @ codebook
        else:
            z = _normal(count, DIM, generator) / DIM**0.5
        return cls(z, codebook, _normal(count, SIZE, generator))

    def first(self, count: int) -> Problem:
        return replace(self, z=self.z[:count], gradient=self.gradient[:count])

    def vertex(self) -> Tensor:
        return torch.nn.functional.one_hot(nearest(self.z, self.codebook), SIZE).double()

    def quadratic(self) -> tuple[Tensor, Tensor]:
        """Q (n, K, K) and q (n, K) of  min p Q p / 2 + q p, differentiable."""
        hessian = 2 * (self.codebook @ self.codebook.T + REGULARIZATION * torch.eye(SIZE).double())
        linear = -2 * (self.z @ self.codebook.T + REGULARIZATION * self.vertex())
        return hessian.expand(len(self.z), -1, -1), linear

    def objective(self, weights: Tensor) -> Tensor:
        error = (self.z - weights @ self.codebook).square().sum(1)
        return error + REGULARIZATION * (weights - self.vertex()).square().sum(1)

    def optimality(self, weights: Tensor) -> float:
        """The largest |p - proj(p - gradient of the objective / 2)|: zero at the optimum alone."""
        pull = (self.z - weights @ self.codebook) @ self.codebook.T
        stepped = weights + pull - REGULARIZATION * (weights - self.vertex())
        return float((weights - project_simplex(stepped)).abs().max())

    def gradients(self, solver: Solver) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, and the gradients of z and the codebook."""
        z, codebook = (t.clone().requires_grad_() for t in (self.z, self.codebook))
        weights = solver(replace(self, z=z, codebook=codebook))
        weights.backward(self.gradient)
        return weights.detach(), _gradient(z), _gradient(codebook)


def _gradient(tensor: Tensor) -> Tensor:
    if tensor.grad is None:
        raise RuntimeError("No gradient arrived.")
    return tensor.grad


def _normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def ours(problem: Problem, tolerance: float = ACCURACY) -> Tensor:
    weights: Tensor = solve_convex_program(
        problem.z, problem.codebook, REGULARIZATION, tolerance=tolerance, max_iterations=200
    ).weights
    return weights


def implicit_reference(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients by dense algebra: the optimality system on the support, K + 1 equations a vector."""
    weights = ours(problem, 1e-12).detach()
    inside = (weights > 0).double()
    system = torch.zeros(len(weights), SIZE + 1, SIZE + 1, dtype=torch.float64)
    hessian = problem.codebook @ problem.codebook.T + REGULARIZATION * torch.eye(SIZE).double()
    system[:, :SIZE, :SIZE] = hessian * inside[:, :, None] * inside[:, None, :] + torch.diag_embed(1 - inside)
    system[:, :SIZE, SIZE] = system[:, SIZE, :SIZE] = inside
    right = torch.nn.functional.pad(problem.gradient * inside, (0, 1))
    moved = torch.linalg.solve(system, right)[:, :SIZE] * inside
    towards = moved @ problem.codebook
    error = problem.z - weights @ problem.codebook
    return weights, towards, moved.T @ error - weights.T @ towards


def proxsuite() -> Solver:
    from proxsuite.torch.qplayer import QPFunction

    ones = torch.ones(1, SIZE, dtype=torch.float64)
    eye, lower = torch.eye(SIZE, dtype=torch.float64), torch.zeros(SIZE, dtype=torch.float64)
    layer = QPFunction(eps=ACCURACY / 10, maxIter=1000, structural_feasibility=True)

    def solve(problem: Problem) -> Tensor:
        total = torch.ones(1, dtype=torch.float64)
        weights: Tensor = layer(*problem.quadratic(), ones, total, eye, lower, torch.full_like(lower, 1e20))[
            0
        ]
        return weights

    return solve


def qpth() -> Solver:
    from qpth.qp import QPFunction

    ones, eye = torch.ones(1, SIZE, dtype=torch.float64), -torch.eye(SIZE, dtype=torch.float64)
    layer = QPFunction(verbose=-1, eps=1e-12)

    def solve(problem: Problem) -> Tensor:
        nothing, total = torch.zeros(SIZE, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        weights: Tensor = layer(*problem.quadratic(), eye, nothing, ones, total)
        return weights

    return solve


def cvxpylayers(arguments: dict[str, Any]) -> Solver:
    import cvxpy
    from cvxpylayers.torch import CvxpyLayer

    weights, vertex = cvxpy.Variable(SIZE), cvxpy.Parameter(SIZE)
    z, codebook = cvxpy.Parameter(DIM), cvxpy.Parameter((SIZE, DIM))
    error = cvxpy.sum_squares(z - weights @ codebook)
    objective = cvxpy.Minimize(error + REGULARIZATION * cvxpy.sum_squares(weights - vertex))
    program = cvxpy.Problem(objective, [weights >= 0, cvxpy.sum(weights) == 1])
    layer = CvxpyLayer(program, parameters=[z, codebook, vertex], variables=[weights])

    def solve(problem: Problem) -> Tensor:
        solution: Tensor = layer(problem.z, problem.codebook, problem.vertex(), solver_args=arguments)[0]
        return solution

    return solve


def solvers() -> dict[str, tuple[Solver, int]]:
    """Each solver of this environment, and with how many vectors it is run."""
    found: dict[str, tuple[Solver, int]] = {OURS: (ours, 1024)}
    if importlib.util.find_spec("proxsuite"):
        found["proxsuite"] = proxsuite(), 1024
    if importlib.util.find_spec("qpth"):
        found["qpth"] = qpth(), 128
    if importlib.util.find_spec("cvxpylayers"):
        found["cvxpylayers, default"] = cvxpylayers({}), 32
        found["cvxpylayers, mode=dense"] = cvxpylayers({"mode": "dense", "eps": 1e-9}), 16
    return found


def time_row(problem: Problem, rounds: int, backward: bool) -> dict[str, Any]:
    """Microseconds per vector, and ratios to ours."""
    candidates = {name: entry for name, entry in solvers().items() if backward or "mode" not in name}
    methods = {
        name: _run(problem.first(count), solver, backward) for name, (solver, count) in candidates.items()
    }
    times = take_turns(methods, rounds)
    each = {name: [value / candidates[name][1] for value in values] for name, values in times.items()}
    return {
        "what": "forward + backward" if backward else "forward",
        "vectors": {name: count for name, (_, count) in candidates.items()},
        "microseconds": {name: quartiles([1e6 * value for value in values]) for name, values in each.items()},
        "time_over_barycode": {
            name: quartiles([value / own for value, own in zip(values, each[OURS], strict=True)])
            for name, values in each.items()
            if name != OURS
        },
    }


def _run(problem: Problem, solver: Solver, backward: bool) -> Callable[[], object]:
    def forward() -> None:
        with torch.no_grad():
            solver(problem)

    return (lambda: problem.gradients(solver)) if backward else forward


def accuracy_rows(problem: Problem) -> dict[str, dict[str, float]]:
    """How far each solver is from the optimum and from the implicit derivative, on 16 vectors."""
    problem = problem.first(16)
    weights, *expected = implicit_reference(problem)
    best = problem.objective(weights)
    rows = {}
    for name, (solver, _) in solvers().items():
        found, *gradients = problem.gradients(solver)
        errors = [float((a - b).norm() / b.norm()) for a, b in zip(gradients, expected, strict=True)]
        rows[name] = {
            "objective_gap": float((problem.objective(found) - best).max()),
            "optimality": problem.optimality(found),
            "infeasibility": max(float(-found.min()), float((found.sum(1) - 1).abs().max())),
            "gradient_z": errors[0],
            "gradient_codebook": errors[1],
        }
    return rows


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for where in ("outside", "inside"):
        problem = Problem.draw(1024, where)
        for backward in (False, True):
            row = {"where": where, **time_row(problem, arguments.rounds, backward)}
            rows.append(row)
            print(json.dumps(row), flush=True)
        rows.append({"where": where, "what": "accuracy", "solvers": accuracy_rows(problem)})
        print(json.dumps(rows[-1], indent=1), flush=True)
    packages = tuple(
        name for name in ("proxsuite", "qpth", "cvxpylayers", "diffcp") if importlib.util.find_spec(name)
    )
    if arguments.output:
        settings = {"dim": DIM, "codebook_size": SIZE, "regularization": REGULARIZATION, "accuracy": ACCURACY}
        save(arguments.output, report(rows, packages, rounds=arguments.rounds, **settings))


if __name__ == "__main__":
    main()
