"""Draw what vector, convex and sparse convex quantization make of the same points: docs/scq.png.

python examples/convex_codes.py [FILE]
"""

import sys
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from barycode.quantizers import SoftConvexQuantizer, SparseCode

TARGET = Path(__file__).parents[1] / "docs" / "scq.png"
CODE = SparseCode(support=2, levels=3)
ANGLES = torch.arange(6) * torch.pi / 3


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    codebook = torch.stack([ANGLES.cos(), ANGLES.sin()], 1) * 1.5
    z = torch.randn(70, 2, generator=torch.Generator().manual_seed(4)) * 0.8
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    vertex, pairs = (_quantizer(codebook, code) for code in (SparseCode(), CODE))
    drawn = (
        ("s = 1: a vertex (VQ), 6 codes", vertex.reconstruct(z), codebook),
        ("soft: any point of the hull, no codes", vertex(z).quantized, codebook),
        (f"s = 2, L = 3: {2 ** CODE.bits(6):.0f} codes", pairs.reconstruct(z), _codes(codebook)),
    )
    for axes, (title, quantized, points) in zip(panels, drawn, strict=True):
        error = float((z - quantized).square().mean())
        _draw(axes, f"{title}; MSE {error:.3f}", z, quantized, points)
    figure.savefig(path, dpi=90)


def _quantizer(codebook: Tensor, code: SparseCode) -> SoftConvexQuantizer:
    quantizer = SoftConvexQuantizer(len(codebook), 2, code=code)
    quantizer.codebook.load(codebook)
    return quantizer.requires_grad_(False)


def _codes(codebook: Tensor) -> Tensor:
    """Every point that a sparse code can stand for."""
    codes = combinations_with_replacement(range(len(codebook)), CODE.levels)
    few = [list(code) for code in codes if len(set(code)) <= CODE.support]
    return CODE.decode(torch.tensor(few), codebook)


def _draw(axes: Any, title: str, z: Tensor, quantized: Tensor, points: Tensor) -> None:
    hull = torch.stack([ANGLES.cos(), ANGLES.sin()], 1) * 1.5
    axes.fill(*hull.T, color="tab:blue", alpha=0.08)
    for start, end in zip(z, quantized, strict=True):
        axes.plot(*torch.stack([start, end]).T, color="grey", linewidth=0.7)
    axes.plot(*z.T, ".", color="black", markersize=4)
    axes.plot(*points.T, "o", color="tab:blue", markersize=6, alpha=0.7)
    axes.plot(*hull.T, "o", color="tab:red", markersize=8)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=10)


if __name__ == "__main__":
    main()
