"""The rows: how each file is made, and how a network is read back from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from bench import CALIBRATED_WITH, Bench
from classical import (
    VECTOR_STEP,
    Coded,
    arithmetic_file,
    huffman_file,
    matrices_of,
    read_arithmetic_file,
    read_huffman_file,
    read_sparse_float_file,
    read_sparse_huffman_file,
    sparse_float_file,
    sparse_huffman_file,
)
from finetune import Recipe, Run, Softness
from gauge import fold_statistics
from network import ResNet32, from_state
from scalar import entropy_constrained, kmeans, uniform
from start import on_grids, on_shared_centers

from barycode.quantizers.soft.schedules import ExponentialSchedule, LinearSchedule
from barycode.weights import Hardened, Keep, Quantize, Rule, Step, compress, decompress
from barycode.weights.soft_to_hard import harden

State = dict[str, torch.Tensor]

DATA_FREE_STEPS = (0.02, 0.03, 0.04, 0.05, 0.06)
CALIBRATED_STEPS = (0.03, 0.04, 0.05, 0.07, 0.09)
PRICE = 0.1  # of iterative ECSQ: squared steps a bit
TUNED = ((1.025, 8, 0), (1.25, 6, 0), (1.25, 6, 1), (1.25, 6, 2), (1.25, 10, 0), (1.55, 4, 0), (1.0, 4, 0))
# bits a weight, epochs, seed
ANNEALED_BITS, ANNEALED_EPOCHS = 1.5, 2
HEAD_START = 0.3  # bits a weight that fine-tuning begins above its goal
SIGMA, HARDEST = 2.0, 200.0


def vectors_finer(step: float) -> tuple[Rule, ...]:
    """Folded statistics as they are (0 and 1), vectors with VECTOR_STEP, matrices with `step`."""
    return (
        Rule("*.running_*", Keep(), "zeros and ones"),
        Rule("*", Quantize(step / VECTOR_STEP), "normalisation and bias", dimensions=1),
        Rule("*", Quantize(), "matrices"),
    )


@dataclass(frozen=True)
class Made:
    """The bytes of a row, and the minutes of training behind them."""

    data: bytes
    minutes: float = 0.0


@dataclass(frozen=True)
class Row:
    """A file to make and to read back. `key` names it; rows of one method are points of one curve."""

    key: str
    method: str
    make: Callable[[Bench], Made]
    read: Callable[[bytes], ResNet32]
    seed: int | None = None

    @property
    def file(self) -> str:
        return f"{self.key}.{'bary' if self.read is read_bary else 'bin'}"


def read_bary(data: bytes) -> ResNet32:
    return from_state(decompress(data))


def rows() -> Iterator[Row]:
    """All of them, cheapest first."""
    yield from data_free_rows()
    yield from calibrated_rows()
    yield from tuned_rows()
    yield from classical_rows()
    yield from annealed_rows()


# Without any training


def data_free_rows() -> Iterator[Row]:
    for step in DATA_FREE_STEPS:
        yield Row(f"data-free-{step:g}", "Barycode, data-free", partial(_data_free, step), read_bary)


def _data_free(step: float, bench: Bench) -> Made:
    network = bench.network()
    fold_statistics(network)
    return Made(compress(network.state_dict(), Step(step), rules=vectors_finer(step)))


# With some pictures, but no training


def calibrated_rows() -> Iterator[Row]:
    for step in CALIBRATED_STEPS:
        method = f"Barycode, calibrated with {CALIBRATED_WITH} pictures"
        yield Row(f"calibrated-{step:g}", method, partial(_calibrated, step), read_bary)


def _calibrated(step: float, bench: Bench) -> Made:
    network = bench.network()
    fold_statistics(network)
    rules = vectors_finer(step)
    return Made(compress(network.state_dict(), Step(step), rules=rules, calibration=bench.calibration))


# The classical ladder: one network, pruned and fine-tuned in float, and scalar quantizers of its weights


def classical_rows() -> Iterator[Row]:
    yield Row("pruned", "pruning + index coding + Huffman", _pruned, read_sparse_float_file)
    for centers in (8, 16, 32):
        yield _sparse(f"kmeans-{centers}", "pruning + k-means + Huffman", partial(_kmeans, centers))
        yield _sparse(
            f"hessian-kmeans-{centers}",
            "pruning + Hessian-weighted k-means + Huffman",
            partial(_kmeans, centers),
            weighted=True,
        )
    for step in (0.04, 0.06, 0.08):
        yield _sparse(f"uniform-{step:g}", "pruning + uniform + Huffman", partial(_uniform, step))
        yield _sparse(f"ecsq-{step:g}", "pruning + iterative ECSQ + Huffman", partial(_ecsq, step))


Quantizer = Callable[[np.ndarray, np.ndarray], Coded]


def _sparse(key: str, method: str, quantizer: Quantizer, weighted: bool = False) -> Row:
    return Row(key, method, partial(_quantized_pruned, quantizer, weighted), read_sparse_huffman_file)


def _pruned(bench: Bench) -> Made:
    network, minutes = bench.pruned
    fold_statistics(network)
    return Made(sparse_float_file(network.state_dict()), minutes)


def _quantized_pruned(quantizer: Quantizer, weighted: bool, bench: Bench) -> Made:
    network, minutes = bench.pruned
    weights = matrices_of(network.state_dict())
    importance = np.ones_like(weights)
    if weighted:
        found = bench.sensitivities(network, "pruned")
        names = [name for name, tensor in network.state_dict().items() if tensor.ndim > 1]
        importance = np.concatenate([found[name].numpy().ravel() for name in names])
    coded = quantizer(weights, importance)
    fold_statistics(network)
    return Made(sparse_huffman_file(network.state_dict(), coded), minutes)


def _kmeans(centers: int, weights: np.ndarray, importance: np.ndarray) -> Coded:
    return kmeans(weights, centers, importance)


def _uniform(step: float, weights: np.ndarray, importance: np.ndarray) -> Coded:
    return uniform(weights, step, importance)


def _ecsq(step: float, weights: np.ndarray, importance: np.ndarray) -> Coded:
    return entropy_constrained(weights, step, importance, PRICE)


# Soft-to-hard as in the paper: shared learned centers, soft weights, annealed; one run, three entropy coders


def annealed_rows() -> Iterator[Row]:
    for coder, write, read in (
        ("Huffman", huffman_file, read_huffman_file),
        ("arithmetic", arithmetic_file, read_arithmetic_file),
        ("context", _context_file, read_bary),
    ):
        key = f"annealed-{ANNEALED_BITS:g}-{coder.lower()}"
        method = f"soft-to-hard, shared centers, fine-tuned + {coder} coding"
        yield Row(key, method, partial(_annealed, ANNEALED_BITS, write), read, seed=0)


def _annealed(bits: float, write: Callable[[State, Coded], bytes], bench: Bench) -> Made:
    network, recipe = bench.network(), Recipe(ANNEALED_EPOCHS)
    on_shared_centers(network, bits + HEAD_START, SIGMA)
    schedule = ExponentialSchedule(SIGMA, (HARDEST / SIGMA) ** (1 / _steps(bench, recipe)), stop=HARDEST)
    run = Run(network, recipe, bench.teaching, Softness.of(network, bits, schedule))
    minutes = bench.train(run, f"annealed-{bits:g}")
    codes = harden(network)
    fold_statistics(network)
    joined = np.concatenate([code.indices.numpy().ravel() for code in codes.values()])
    centers = next(iter(codes.values())).centers.numpy()
    return Made(write(network.state_dict(), Coded(joined, centers)), minutes)


def _context_file(state: State, coded: Coded) -> bytes:
    """Our file of shared centers."""
    matrices = {name: tensor for name, tensor in state.items() if tensor.ndim > 1}
    parts = torch.from_numpy(coded.codes).split([tensor.numel() for tensor in matrices.values()])
    centers = torch.from_numpy(coded.centers)
    hardened = {
        name: Hardened(part.view(tensor.shape), centers)
        for (name, tensor), part in zip(matrices.items(), parts, strict=True)
    }
    return compress(state, Step(VECTOR_STEP), rules=vectors_finer(VECTOR_STEP), hardened=hardened)


# Ours: a learned grid for each tensor, hard weights with soft gradients


def tuned_rows() -> Iterator[Row]:
    for bits, epochs, seed in TUNED:
        key = f"tuned-{bits:g}-{epochs}-seed{seed}"
        make = partial(_tuned, key, bits, Recipe(epochs, seed=seed))
        yield Row(key, f"Barycode, fine-tuned, {epochs} epochs", make, read_bary, seed)


def _tuned(key: str, bits: float, recipe: Recipe, bench: Bench) -> Made:
    network = bench.network()
    on_grids(network, bits + HEAD_START, SIGMA)
    schedule = LinearSchedule(SIGMA, 2 * SIGMA, _steps(bench, recipe))
    run = Run(network, recipe, bench.teaching, Softness.of(network, bits, schedule))
    minutes = bench.train(run, key)
    codes = harden(network)
    fold_statistics(network)
    rules = vectors_finer(VECTOR_STEP)
    return Made(compress(network.state_dict(), Step(VECTOR_STEP), rules=rules, hardened=codes), minutes)


def _steps(bench: Bench, recipe: Recipe) -> int:
    return recipe.epochs * (len(bench.training) // recipe.batch)
