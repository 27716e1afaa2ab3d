"""Code vectors for runs of entries: entropy-constrained vector quantization of tensors."""

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from barycode.quantizers.codebook.initialization import kmeans
from barycode.quantizers.codebook.kmeans_1d import kmeans_1d
from barycode.rate import FrequencyTables
from barycode.rate.entropy_constrained import VectorCoder, fit
from barycode.weights.allocation.measure import wide
from barycode.weights.checkpoints.sources import Source
from barycode.weights.file_format.codebooks import Codebooks
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.items import Item
from barycode.weights.file_format.methods import CodeVectors
from barycode.weights.quantization.quantize import Prepared, exact, stored_step
from barycode.weights.request.rules import Rule, Vectors, rule_for

SAMPLE = 2**16  # runs that a codebook is trained on
ITERATIONS = 12
SEED = 0


def prepare_vectors(
    entry: Entry,
    tensor: Tensor,
    treatment: Vectors,
    reason: str,
    shared: Mapping[Vectors, VectorCoder],
    codebooks: Codebooks,
) -> Prepared:
    """The cheapest code vector for every run, of a shared codebook or of the tensor's own."""
    scale = stored_step(root_mean_square(tensor))
    vectors = vectors_of(tensor, treatment.dimension, scale or 1.0)
    if scale is None or not bool(vectors.isfinite().all()):
        return exact(entry, tensor, "numbers too large or too small for code vectors")
    coder = shared.get(treatment) or trained(vectors, treatment)
    indices = coder.choose(vectors, torch.zeros(len(vectors), dtype=torch.int64))
    method = CodeVectors(scale, codebooks.place_of(coder.centers), len(coder.centers), treatment.dimension)
    return Prepared(Item(entry, method), indices.numpy().astype(np.int32), reason)


def shared_codebooks(
    source: Source, rules: Sequence[Rule], hardened: Container[str]
) -> dict[Vectors, VectorCoder]:
    """A codebook for each treatment that asks for a shared one, from runs of all its tensors."""
    members: dict[Vectors, list[Entry]] = {}
    for entry in source.directory.entries:
        treatment = rule_for(entry, rules).treatment
        free = entry.tied_to is None and entry.name not in hardened and entry.size
        if free and isinstance(treatment, Vectors) and treatment.shared:
            members.setdefault(treatment, []).append(entry)
    pooled = {treatment: _pooled(source, of, treatment.dimension) for treatment, of in members.items()}
    return {treatment: trained(vectors, treatment) for treatment, vectors in pooled.items() if len(vectors)}


def trained(vectors: Tensor, treatment: Vectors) -> VectorCoder:
    """A codebook for vectors (n, d) of unit mean square, and what its indices cost."""
    vectors = vectors[:: -(-len(vectors) // SAMPLE)]
    size = min(treatment.centers, len(vectors))
    generator = torch.Generator().manual_seed(SEED)
    one = treatment.dimension == 1
    centers = kmeans_1d(vectors[:, 0], size)[:, None] if one else kmeans(vectors, size, generator=generator)
    centers = torch.cat([centers] * 2) if size == 1 else centers  # a code needs two symbols
    flat = FrequencyTables.from_counts(np.ones((1, len(centers))))
    coder = VectorCoder(centers.float(), flat, treatment.price)
    iterations = ITERATIONS if treatment.price else 0
    coder = fit(coder, vectors, torch.zeros(len(vectors), dtype=torch.int64), iterations)
    return VectorCoder(coder.centers.bfloat16().float(), coder.tables, coder.rate_weight)


def vectors_of(tensor: Tensor, dimension: int, scale: float) -> Tensor:
    """The entries over the scale, in their order, as float32 (n, dimension), zeros behind the last."""
    flat = (wide(tensor).flatten() / scale).float()
    return torch.nn.functional.pad(flat, (0, -len(flat) % dimension)).view(-1, dimension)


def root_mean_square(tensor: Tensor) -> float:
    """Of the finite entries; 1 of zeros."""
    sizes = tensor.double().abs().nan_to_num(0, 0, 0)
    largest = float(sizes.max())
    return largest * float((sizes / largest).square().mean().sqrt()) if largest else 1.0


def _pooled(source: Source, entries: Iterable[Entry], dimension: int) -> Tensor:
    entries = list(entries)
    total = sum(entry.size for entry in entries) // dimension
    stride = max(total // SAMPLE, 1)
    parts = []
    for entry in entries:
        tensor = source.load(entry.name).detach().cpu()
        scaled = vectors_of(tensor, dimension, root_mean_square(tensor))[::stride]
        parts.append(scaled[scaled.isfinite().all(1)])
    return torch.cat(parts)
