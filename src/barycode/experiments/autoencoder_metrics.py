"""What an autoencoder's row in a table says: errors, health of the codebook, bytes, seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from barycode.errors import BarycodeError
from barycode.quantizers import (
    Assignment,
    CodebookHealth,
    OneHotAssignment,
    ProductAssignment,
    Quantized,
    Quantizer,
    SoftConvexQuantizer,
)
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from barycode.training.autoencoders.network import Autoencoder
from barycode.training.autoencoders.pictures import in_order
from barycode.training.autoencoders.train import Run
from barycode.training.datasets.picture_set import Images

BATCH = 100
DIGITS = 6  # significant ones in a row


@dataclass
class _Sums:
    """Running sums over a test set."""

    values: int = 0
    error: float = 0.0
    components: int = 0
    quantization_error: float = 0.0
    latent: float = 0.0
    latent_square: float = 0.0
    indices: list[Tensor] = field(default_factory=list)
    healths: list[tuple[CodebookHealth, CodebookHealth]] = field(default_factory=list)  # hard, weights
    support: float = 0.0

    def add(self, pictures: Tensor, output: Any) -> None:
        self.values += pictures.numel()
        self.error += _square(output.pictures - pictures)
        self.components += output.latents.numel()
        self.latent += float(output.latents.double().sum())
        self.latent_square += _square(output.latents)
        if output.quantized is not None:
            self._add_quantized(output.latents, output.quantized)

    def _add_quantized(self, latents: Tensor, result: Quantized) -> None:
        self.quantization_error += _square(result.quantized - latents)
        self.indices.append(result.indices)
        parts = _parts(result.weights)
        if not self.healths:
            self.healths = [
                (CodebookHealth(part.codebook_size), CodebookHealth(part.codebook_size)) for part in parts
            ]
        for part, (hard, mean) in zip(parts, self.healths, strict=True):
            hard.update(part.vertex())
            mean.update_weights(part)
            self.support += _non_zeros(part)


def measure(model: Autoencoder, images: Images, variance: float) -> dict[str, Any]:
    """Everything about a trained autoencoder on pictures it has not seen.

    mse: mean squared error, pictures in [0, 1]; mse_over_variance: divided by that of the training pictures.
    quantization_error: mean squared difference of latents and quantized latents, a component;
    quantization_error_over_variance: divided by the latents' variance, since methods scale latents freely.
    perplexity, usage: of the nearest (heaviest) code vectors over the whole set; perplexity_of_weights: of
    the mean weights; of each part, averaged, where there are several. support: non-zero weights a vector.
    bytes, bits_a_vector: of one file of all codes with its tables; mse_from_bytes: of what it decodes to.
    All three are None where the weights are continuous.
    """
    model.eval()
    sums = _Sums()
    with torch.no_grad():
        for pictures in in_order(images, BATCH):
            sums.add(pictures, model(pictures))
    mse = sums.error / sums.values
    row: dict[str, Any] = {"mse": mse, "mse_over_variance": mse / variance}
    row["parameters"] = sum(p.numel() for p in model.parameters())
    if model.quantizer is not None:
        row |= _quantizer_row(sums) | _file_row(model, model.quantizer, sums, images)
    return _rounded(row)


def _quantizer_row(sums: _Sums) -> dict[str, Any]:
    error = sums.quantization_error / sums.components
    variance = sums.latent_square / sums.components - (sums.latent / sums.components) ** 2
    vectors = sum(float(hard.histogram.sum()) for hard, _ in sums.healths)
    return {
        "quantization_error": error,
        "quantization_error_over_variance": error / variance,
        "perplexity": _mean([hard.perplexity for hard, _ in sums.healths]),
        "perplexity_of_weights": _mean([mean.perplexity for _, mean in sums.healths]),
        "usage": _mean([hard.usage for hard, _ in sums.healths]),
        "usage_of_weights": _mean([mean.usage for _, mean in sums.healths]),
        "support": sums.support / vectors,
    }


def _file_row(model: Autoencoder, quantizer: Quantizer, sums: _Sums, images: Images) -> dict[str, Any]:
    """Bytes, and the error of what comes back from them."""
    if isinstance(quantizer, SoftConvexQuantizer) and quantizer.code is None:
        return {"bytes": None, "bits_a_vector": None, "mse_from_bytes": None, "continuous": True}
    indices = torch.cat(sums.indices)
    data = pack_codes(quantizer, indices)
    back = unpack_codes(quantizer, data)
    if not torch.equal(back, indices):
        raise BarycodeError("The file of the codes decodes to other codes: the coder is broken.")
    error = 0.0
    with torch.no_grad():
        for pictures, codes in zip(in_order(images, BATCH), back.split(BATCH), strict=True):
            error += _square(model.decode(codes) - pictures)
    vectors = indices.shape[0] * indices.shape[1] * indices.shape[2]
    return {
        "bytes": len(data),
        "bits_a_vector": 8 * len(data) / vectors,
        "mse_from_bytes": error / sums.values,
        "continuous": False,
    }


def step_seconds(runs: Sequence[Run], rounds: int = 7) -> Mapping[str, float]:
    """Seconds of one training step of each run, the least of `rounds`; runs take turns, step by step.

    With one thread it is the process's own time, which a busy machine disturbs less than the wall's.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {run.recipe.name: [] for run in runs}
    for _ in range(rounds + 1):
        for run in runs:
            begun = clock()
            run.step()
            times[run.recipe.name].append(clock() - begun)
    return {name: round(min(values[1:]), 4) for name, values in times.items()}


def _parts(weights: Assignment) -> tuple[Assignment, ...]:
    return weights.parts if isinstance(weights, ProductAssignment) else (weights,)


def _non_zeros(weights: Assignment) -> float:
    """How many weights of the batch are positive."""
    if isinstance(weights, OneHotAssignment):  # made dense, a large grid would not fit in memory
        return weights.indices.numel()
    return float((weights.dense() > 0).sum())


def _square(x: Tensor) -> float:
    return float(x.double().square().sum())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
        for name, value in row.items()
    }
