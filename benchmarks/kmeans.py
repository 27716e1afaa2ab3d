"""k-means beside other libraries: time and what it leaves, after as many iterations.

    python benchmarks/peers.py .venv-peers
    .venv-peers/bin/python benchmarks/kmeans.py --threads 2 --output benchmarks/results/kmeans.json

Vectors are a mixture of K / 4 Gaussians, so that a start matters. Each method runs once a round, in turn. The
others start at random vectors, as vector-quantize-pytorch does; scikit-learn by k-means++ where K is small.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from barycode.benchmarks.shape_table import measure_shapes
from barycode.benchmarks.timing import quartiles, ratios, take_turns
from barycode.quantizers import kmeans, nearest

SHAPES = [(32_768, 64, 1024), (65_536, 64, 8192)]
ITERATIONS = 10
SEVERAL = 2048  # up to so many code vectors scikit-learn starts by k-means++, whose time grows as K^2
OURS = "barycode"
Fit = Callable[[Tensor, int], Tensor]  # vectors (n, d), K -> centers (K, d)


def mixture(n: int, dim: int, clusters: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centers = 2 * torch.randn(clusters, dim, generator=generator)
    chosen = torch.randint(clusters, (n,), generator=generator)
    return centers[chosen] + torch.randn(n, dim, generator=generator)


def peer(vectors: Tensor, size: int) -> Tensor:
    module = importlib.import_module("vector_quantize_pytorch.vector_quantize_pytorch")
    centers: Tensor = module.kmeans(vectors[None], size, num_iters=ITERATIONS)[0][0]
    return centers


def scikit_learn(vectors: Tensor, size: int) -> Tensor:
    cluster = importlib.import_module("sklearn.cluster")
    start = "k-means++" if size <= SEVERAL else "random"
    fitted = cluster.KMeans(size, init=start, n_init=1, max_iter=ITERATIONS, tol=0).fit(vectors.numpy())
    return torch.from_numpy(fitted.cluster_centers_)


def faiss(vectors: Tensor, size: int) -> Tensor:
    library = importlib.import_module("faiss")
    library.omp_set_num_threads(torch.get_num_threads())
    fitted = library.Kmeans(
        vectors.shape[1], size, niter=ITERATIONS, max_points_per_centroid=len(vectors), verbose=False
    )
    fitted.train(vectors.numpy())
    return torch.from_numpy(fitted.centroids)


METHODS: dict[str, Fit] = {
    OURS: partial(kmeans, iterations=ITERATIONS),
    "vector-quantize-pytorch": peer,
    "scikit-learn": scikit_learn,
    "faiss Kmeans": faiss,
}


def measure(shape: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """One row: our seconds, each peer's time over ours, and the squared error of each."""
    n, dim, size = shape
    vectors = mixture(n, dim, size // 4)
    errors: dict[str, float] = {}

    def run(name: str) -> None:
        centers = METHODS[name](vectors, size)
        errors[name] = float((vectors - centers[nearest(vectors, centers)]).square().mean())

    times = take_turns({name: partial(run, name) for name in METHODS}, rounds)
    return {
        "vectors": n,
        "dim": dim,
        "codebook_size": size,
        "iterations": ITERATIONS,
        "barycode_seconds": quartiles(times[OURS]),
        "time_over_barycode": ratios(times, OURS),
        "squared_error": {name: float(f"{error:.4g}") for name, error in errors.items()},
    }


if __name__ == "__main__":
    torch.manual_seed(0)
    measure_shapes(
        __doc__, SHAPES, measure, ("vector-quantize-pytorch", "scikit-learn", "faiss-cpu"), rounds=3
    )
