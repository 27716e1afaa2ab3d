"""Algorithm 2, truncated solves and Algorithm 1 on the latents of a trained autoencoder.

    python experiments/scq-cifar10-gtsrb/ablation.py --data FOLDER

Needs a row and weights of scq-exact on CIFAR-10 from run.py. Writes ablation.json, ablation.md and a plot.
What networks come to that are trained with truncated solves is in run.py's table.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.errors import MissingDataError
from barycode.experiments.autoencoder_report import Column, color, error_plot, group, table
from barycode.experiments.results import ResultsFile
from barycode.experiments.sweep import load_trained, recipe_of
from barycode.simplex import ConvergenceWarning, solve_convex_program
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import load_pictures, to_tensor
from barycode.training.datasets import data_folder

Row = Mapping[str, Any]
HERE = Path(__file__).parent
ITERATIONS = (1, 2, 3, 5, 10, 20)
REGULARIZATIONS = (0.03, 0.3, 3.0)
PICTURES, ROUNDS = 16, 5
REFERENCE, EXACT = 1e-10, 1e-6  # tolerances
LEAST_SHOWN = 1e-6
COLUMNS = (
    Column("quantization error / latents' variance", lambda row: row["quantization_error"], "{:.4g}"),
    Column("MSE of pictures x 1e3", lambda row: 1e3 * row["mse"], "{:.4g}"),
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


@dataclass(frozen=True)
class Trained:
    """An autoencoder, pictures (n, 3, H, W), their latents (n * h * w, d) and the codebook, in float64."""

    model: Autoencoder
    pictures: Tensor
    latents: Tensor
    codebook: Tensor

    @torch.no_grad()
    def error(self, quantized: Tensor) -> float:
        """Mean squared error of the pictures that are decoded from quantized latents."""
        side = self.pictures.shape[2] // self.model.factor
        maps = quantized.float().reshape(len(self.pictures), side, side, -1).movedim(-1, 1)
        return float((self.model.reconstruct(maps) - self.pictures).square().mean())


def measure(trained: Trained, regularization: float) -> list[dict[str, Any]]:
    """A row for each number of iterations and for the exact program, against a solution to 1e-10."""
    z, codebook = trained.latents, trained.codebook
    reference, _ = solve(z, codebook, regularization, tolerance=REFERENCE)
    limits: dict[str, dict[str, Any]] = {
        "Algorithm 2": {"max_iterations": 0},
        **{f"{n} iterations": {"max_iterations": n} for n in ITERATIONS},
        "Algorithm 1": {"tolerance": EXACT},
    }
    rows = []
    for label, limit in limits.items():
        (quantized, *gradients), residual = solve(z, codebook, regularization, **limit)
        errors = [_finite((g - r).norm() / r.norm()) for g, r in zip(gradients, reference[1:], strict=True)]
        rows.append(
            {
                "regularization": regularization,
                "solve": label,
                "quantization_error": float((quantized - z).square().mean() / z.var()),
                "mse": trained.error(quantized),
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


def plot(rows: Iterable[Row], path: Path) -> None:
    """How far from the optimum after how many milliseconds: quantization error solid, gradient dashed."""
    labels = {
        "xlabel": "forward + backward, ms",
        "ylabel": "relative error",
        "title": "From Algorithm 2 to 1",
    }
    with error_plot(path, **labels) as axes:
        for number, (label, found) in enumerate(group(rows, _lambda).items()):
            best = found[-1]["quantization_error"]
            excess = [(row["milliseconds"], row["quantization_error"] / best - 1) for row in found[:-1]]
            gradients = [(row["milliseconds"], row["gradient_error_z"]) for row in found[:-1]]
            for points, style in ((excess, "o-"), (gradients, "s--")):
                shown = [(x, y) for x, y in points if y is not None and y > LEAST_SHOWN]
                axes.plot(*zip(*shown, strict=True), style, color=color(number), markersize=4)
            axes.plot([], [], color=color(number), label=label)
        axes.plot([], [], "o-", color="grey", label="quantization error above the optimum's")
        axes.plot([], [], "s--", color="grey", label="gradient for the latents")


def load(data: Path) -> Trained:
    """The committed autoencoder, and some test pictures."""
    rows = ResultsFile(HERE / "results.json").rows()
    found = sorted((HERE / "weights").glob("cifar10-scq-exact-*.safetensors"))
    if not found or found[0].stem not in rows:
        raise MissingDataError("There is no trained scq-exact: run run.py --methods scq-exact first.")
    model = load_trained(recipe_of(rows[found[0].stem]), found[0]).eval()
    pictures = to_tensor(load_pictures("cifar10", data).test[:PICTURES])
    with torch.no_grad():
        latents = model.latents(pictures).movedim(1, -1).reshape(-1, model.dim)
    assert model.quantizer is not None
    codebook = model.quantizer.codebooks[0].vectors.detach()
    return Trained(model, pictures, latents.double(), codebook.double())


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
) -> None:
    """Measure everything anew and write the table."""
    trained = load(data_folder(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = [row for value in REGULARIZATIONS for row in measure(trained, value)]
    write_atomic(HERE / "ablation.json", (json.dumps(rows, indent=1) + "\n").encode(), force=True)
    parts = [f"# The program on {len(trained.latents)} latents, K = {len(trained.codebook)}, float64", ""]
    for label, found in group(rows, _lambda).items():
        parts += [f"## {label}", "", table(group(found, lambda row: row["solve"]), "solve", COLUMNS), ""]
    plot(rows, HERE / "ablation.png")
    parts += ["![From Algorithm 2 to 1](ablation.png)", ""]
    (HERE / "ablation.md").write_text("\n".join(parts))


def _lambda(row: Row) -> str:
    return f"lambda = {row['regularization']}"


def _finite(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None


if __name__ == "__main__":
    run_script(main)
