"""Algorithm 2, truncated solves and Algorithm 1 on the latents of a trained autoencoder.

    python experiments/scq-cifar10-gtsrb/ablation.py --data FOLDER

Needs a row and weights of scq-exact on CIFAR-10 from run.py. Writes ablation.json and ablation.md.
"""

import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from barycode.container import write_atomic
from barycode.errors import MissingDataError
from barycode.evaluation.campaign import recipe_of, trained
from barycode.evaluation.campaign_report import Column, group, table
from barycode.evaluation.ledger import Ledger
from barycode.simplex import ConvergenceWarning, solve_convex_program
from barycode.training.autoencoders.pictures import load_pictures, to_tensor
from barycode.training.datasets import data_folder

HERE = Path(__file__).parent
ITERATIONS = (0, 1, 2, 3, 5, 10, 20)
REGULARIZATIONS = (0.03, 0.3, 3.0)
PICTURES, ROUNDS = 16, 5
REFERENCE, EXACT = 1e-10, 1e-6  # tolerances
COLUMNS = (
    Column("quantization error / latents' variance", lambda row: row["quantization_error"], "{:.4g}"),
    Column("gradient error, latents", lambda row: row["gradient_error_z"], "{:.2g}"),
    Column("gradient error, codebook", lambda row: row["gradient_error_codebook"], "{:.2g}"),
    Column("largest KKT residual", lambda row: row["residual"], "{:.1e}"),
    Column("forward + backward, ms", lambda row: row["milliseconds"], "{:.1f}"),
)


def solve(z: Tensor, codebook: Tensor, regularization: float, **limits: Any) -> tuple[list[Tensor], Tensor]:
    """Quantized vectors and the gradients of their squared length in z and codebook; and the residual."""
    z, codebook = (tensor.clone().requires_grad_() for tensor in (z, codebook))
    solution = solve_convex_program(z, codebook, regularization, **limits)
    quantized = solution.weights @ codebook
    gradients = torch.autograd.grad(quantized.square().sum(), (z, codebook))
    return [quantized.detach(), *gradients], solution.residual.max()


def measure(z: Tensor, codebook: Tensor, regularization: float) -> list[dict[str, Any]]:
    """A row for each number of iterations and for the exact program, against a solution to 1e-10."""
    reference, _ = solve(z, codebook, regularization, tolerance=REFERENCE)
    limits: dict[str, dict[str, Any]] = {f"{n} iterations": {"max_iterations": n} for n in ITERATIONS}
    limits["exact"] = {"tolerance": EXACT}
    rows = []
    for label, limit in limits.items():
        (quantized, *gradients), residual = solve(z, codebook, regularization, **limit)
        errors = [_finite((g - r).norm() / r.norm()) for g, r in zip(gradients, reference[1:], strict=True)]
        rows.append(
            {
                "regularization": regularization,
                "solve": label,
                "quantization_error": float((quantized - z).square().mean() / z.var()),
                "gradient_error_z": errors[0],
                "gradient_error_codebook": errors[1],
                "residual": float(residual),
                "milliseconds": 1e3 * best_seconds(partial(solve, z, codebook, regularization, **limit)),
            }
        )
    return rows


def best_seconds(action: Callable[[], object]) -> float:
    """The least of a few runs."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return min(times)


def trained_latents(data: Path) -> tuple[Tensor, Tensor]:
    """Latents (1024, 64) of test pictures and the codebook, in float64, of the committed autoencoder."""
    rows = Ledger(HERE / "results.json").rows()
    found = sorted((HERE / "weights").glob("cifar10-scq-exact-*.safetensors"))
    if not found or found[0].stem not in rows:
        raise MissingDataError("There is no trained scq-exact: run run.py --methods scq-exact first.")
    model = trained(recipe_of(rows[found[0].stem]), found[0])
    pictures = load_pictures("cifar10", data).test[:PICTURES]
    with torch.no_grad():
        latents = model.eval().latents(to_tensor(pictures)).movedim(1, -1).reshape(-1, model.dim)
    assert model.quantizer is not None
    return latents.double(), model.quantizer.codebooks[0].vectors.detach().double()


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
) -> None:
    """Measure everything anew and write the table."""
    z, codebook = trained_latents(data_folder(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = [row for value in REGULARIZATIONS for row in measure(z, codebook, value)]
    write_atomic(HERE / "ablation.json", (json.dumps(rows, indent=1) + "\n").encode(), force=True)
    parts = [f"# The program on {len(z)} latents, K = {len(codebook)}, float64", ""]
    for label, found in group(rows, lambda row: f"lambda = {row['regularization']}").items():
        parts += [f"## {label}", "", table(group(found, lambda row: row["solve"]), "solve", COLUMNS), ""]
    (HERE / "ablation.md").write_text("\n".join(parts))


def _finite(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None


if __name__ == "__main__":
    typer.run(main)
