"""Sparse convex codes of a Gaussian source beside other quantizers, by the bytes of their files.

    python experiments/sparse-convex-gaussian/run.py

Rows are kept in results.json, so that an interrupted run goes on where it stopped; the plot and README.md are
written from the rows. --fresh starts again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from report import write_report
from torch import Tensor

from barycode.cli.program import run_script
from barycode.container import Section, pack, write_atomic
from barycode.quantizers import (
    ProductQuantizer,
    Quantizer,
    ResidualQuantizer,
    SoftConvexQuantizer,
    SparseCode,
    VectorQuantizer,
    archetypes,
    kmeans,
)
from barycode.rate import FrequencyTables, SymbolEncoder
from barycode.rate.multisets import pack_multisets

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DIM, SEED = 4, 0
TRAINING, TEST = 100_000, 100_000
REFITS = 20
STEPS = (0.42, 0.55, 0.7, 0.9, 1.2)


@dataclass(frozen=True)
class Entry:
    """One row to be: a quantizer to fit, or a step for plain scalars."""

    family: str
    setting: str
    measure: Callable[[], dict[str, Any]]


def vectors(count: int, seed: int) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))


def entries() -> Iterator[Entry]:
    """Every family over about 6 to 14 bits a vector."""
    for size in (64, 256, 1024, 4096):
        yield Entry("VQ", f"K {size}", partial(plain, VectorQuantizer(size, DIM)))
    for size in (8, 16, 32, 64, 128):
        yield Entry("residual", f"{size} + {size}", partial(plain, ResidualQuantizer(size, DIM, stages=2)))
        yield Entry("product", f"{size} x {size}", partial(plain, ProductQuantizer(size, DIM, groups=2)))
    for support, levels, sizes in (
        (2, 2, (16, 32, 64, 128)),
        (2, 3, (16, 32, 64, 128)),
        (3, 4, (8, 16, 32)),
        (4, 4, (8, 16)),
    ):
        for size in sizes:
            code = SparseCode(support, levels)
            yield Entry(f"sparse s={support} L={levels}", f"K {size}", partial(sparse, code, size))
    for step in STEPS:
        yield Entry("scalars", f"step {step}", partial(scalars, step))


def plain(quantizer: Quantizer) -> dict[str, Any]:
    """Fit by k-means, each stage or group in its turn; every part of the code under its own table."""
    generator = torch.Generator().manual_seed(SEED)
    quantizer.initialize(vectors(TRAINING, 1), partial(kmeans, generator=generator))
    z = vectors(TEST, 2)
    indices = quantizer.encode(z)
    parts = indices.reshape(TEST, -1).numpy()
    histograms = np.stack([np.bincount(part, minlength=quantizer.codebook_size) for part in parts.T])
    tables = FrequencyTables.from_counts(histograms)
    encoder = SymbolEncoder()
    rows = np.broadcast_to(np.arange(parts.shape[1]), parts.shape)
    encoder.encode(parts.ravel(), tables, rows.ravel())
    sections = [Section("TABL", tables.to_bytes()), Section("CODE", encoder.finish())]
    return finish(z, quantizer.decode(indices), sections, codebook_bytes(quantizer))


def sparse(code: SparseCode, size: int) -> dict[str, Any]:
    """Fit the code vectors to their own code by least squares, from k-means."""
    generator = torch.Generator().manual_seed(SEED)
    quantizer = SoftConvexQuantizer(size, DIM, code=code)
    start = partial(kmeans, generator=generator)
    fit = partial(archetypes, program=code, start=start, iterations=REFITS, generator=generator)
    quantizer.initialize(vectors(TRAINING, 1), fit)
    z = vectors(TEST, 2)
    indices = quantizer.encode(z)
    record = pack_multisets(indices.numpy(), size, code.support)
    row = finish(z, quantizer.decode(indices), [Section("MSET", record)], codebook_bytes(quantizer))
    return {**row, "bits_of_all_codes": round(code.bits(size), 3)}


def scalars(step: float) -> dict[str, Any]:
    """A uniform step for each component, rebuilt at the centroid; one table for all."""
    z = vectors(TEST, 2)
    codes = (z / step).round().long()
    known = (vectors(TRAINING, 1) / step).round().long()
    limit = int(max(codes.abs().max(), known.abs().max())) + 1
    places = known.flatten() + limit
    sums = torch.zeros(2 * limit + 1).index_add(0, places, vectors(TRAINING, 1).flatten())
    counts = torch.bincount(places, minlength=2 * limit + 1)
    levels = torch.where(counts > 0, sums / counts.clamp_min(1), (torch.arange(2 * limit + 1) - limit) * step)
    tables = FrequencyTables.from_counts(counts[None].numpy() + 0.5)
    encoder = SymbolEncoder()
    encoder.encode((codes + limit).flatten().numpy(), tables, np.zeros(codes.numel(), np.int64))
    sections = [Section("TABL", tables.to_bytes()), Section("CODE", encoder.finish())]
    return finish(z, levels[codes + limit], sections, 4 * len(levels))


def codebook_bytes(quantizer: Quantizer) -> int:
    return sum(4 * codebook.vectors.numel() for codebook in quantizer.codebooks)


def finish(z: Tensor, decoded: Tensor, sections: list[Section], codebook: int) -> dict[str, Any]:
    """Squared error a component, and the bits a vector of a whole file, its codebook apart."""
    size = len(pack("vect", sections))
    return {
        "mse": round(float((z - decoded).detach().double().square().mean()), 6),
        "bits": round(8 * size / len(z), 4),
        "codebook_bytes": codebook,
    }


def main(fresh: Annotated[bool, typer.Option(help="Measure everything again.")] = False) -> None:
    """Measure what is missing and write the report."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() and not fresh else []
    known = {(row["family"], row["setting"]) for row in rows}
    for entry in entries():
        if (entry.family, entry.setting) in known:
            continue
        rows.append({"family": entry.family, "setting": entry.setting, **entry.measure()})
        print(json.dumps(rows[-1]), flush=True)
        write_atomic(RESULTS, (json.dumps(rows, indent=1) + "\n").encode(), force=True)
    write_report(rows, HERE)


if __name__ == "__main__":
    run_script(main)
