"""The parts of experiments/vectors on synthetic coefficients."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from barycode.images.slices import SLICES
from barycode.rate import SymbolDecoder

FOLDER = Path(__file__).parents[2] / "experiments/vectors"
MODULES = ("bands", "codec_report", "in_codec", "report", "run")


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import run

    yield run
    for name in MODULES:
        sys.modules.pop(name, None)


def laplacian(count, dim, seed=0):
    """Vectors whose members share a scale, as neighbouring coefficients do, and a row that tells it."""
    generator = np.random.default_rng(seed)
    row = generator.integers(0, 4, count)
    values = generator.laplace(size=(count, dim)) * (0.2 * 2.0**row)[:, None]
    return torch.from_numpy(values).float(), torch.from_numpy(row)


def test_patches_and_back(run):
    planes = torch.arange(3 * 4 * 6).reshape(3, 4, 6)
    vectors = run.unpatch(sys.modules["bands"].patches(planes, (2, 2)), (4, 6), (2, 2))
    assert torch.equal(vectors, planes)
    assert sys.modules["bands"].patches(planes, (2, 2))[1].tolist() == [2, 3, 8, 9]


def test_the_passes_never_split_a_patch(run):
    bands = sys.modules["bands"]
    first = bands.patches(bands.first_pass((8, 12), (2, 2))[None], (2, 2))
    assert (first.all(1) | ~first.any(1)).all()
    assert first.all(1).sum() == len(first) // 2


def test_context_rows_are_the_classes_of_the_scale(run):
    bands = sys.modules["bands"]
    scale = torch.arange(56.0)[:, None].expand(-1, 4)
    rows = bands.context_rows(scale, torch.zeros(56, dtype=torch.int64))
    assert rows.tolist() == [s // 2 for s in range(56)]
    assert torch.equal(bands.context_rows(scale, torch.ones(56, dtype=torch.int64)), rows + bands.CLASSES)


def test_choice_is_the_least_cost(run):
    vectors, rows = laplacian(200, 2)
    coder = run.train(vectors, rows, 32, 0.11)["contexts"]
    lengths = torch.from_numpy(coder.tables.code_lengths())[rows]
    costs = (vectors[:, None] - coder.centers).square().sum(2) + coder.rate_weight * lengths
    chosen = coder.choose(vectors, rows)
    assert torch.allclose(costs.gather(1, chosen[:, None])[:, 0], costs.amin(1), atol=1e-4)


def test_contexts_pay_and_bytes_are_those_of_the_tables(run):
    vectors, rows = laplacian(4000, 2)
    coders = run.train(vectors, rows, 64, 0.11)
    plain = torch.zeros_like(rows)
    assert coders["contexts"].cost(vectors, rows) < 0.97 * coders["histogram"].cost(vectors, plain)
    indices = coders["contexts"].choose(vectors, rows)
    data = coders["contexts"].encode(indices, rows)
    bits = coders["contexts"].tables.code_lengths()[rows.numpy(), indices.numpy()].sum()
    assert len(data) == pytest.approx(bits / 8, rel=0.01, abs=8)
    decoded = SymbolDecoder(data).decode(coders["contexts"].tables, rows.numpy())
    assert np.array_equal(decoded, indices.numpy())


def test_placed_codes_are_reconstructed_as_the_points(run):
    model = run.find_model("photo")
    points = torch.linspace(-6, 6, 61)[None, None].expand(192, 1, -1).clone()
    points[points.abs() < 2] = 0
    codes = run.place_codes(model.decoder, points)
    bands = tuple(range(192))
    assert torch.allclose(model.decoder.reconstruct(codes[None, :, 0], bands)[0], points[:, 0], atol=1e-5)


def test_rows_of_a_unit_make_a_report(run, monkeypatch, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    picture = run.Image.fromarray(pixels)
    monkeypatch.setattr(run, "SIZES", {(1, 1): 15, (1, 2): 16, (2, 2): 16})
    monkeypatch.setattr(run, "SHIPPED_INDICES", (8, 24))
    model = run.find_model("photo")
    rows = run.shipped_rows(model, [("noise", picture)])
    for shape in run.SIZES:
        rows += run.measure_unit(model, [picture], [("noise", picture)], 16, shape, lambda: None)
    assert len(rows) == 2 + 3 * (2 * len(SLICES) + 1)
    run.write_report(rows, model.config.rate_weight, tmp_path)
    assert (tmp_path / "README.md").read_text().count("| luma 1 |") == 2
    assert (tmp_path / "vectors.png").stat().st_size > 0
