"""The parts of experiments/resnet32-cifar10 that need no data."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from barycode.container import ByteReader
from barycode.experiments.document_tables import TABLE_END, table_start
from barycode.quantizers import LinearSchedule

FOLDER = Path(__file__).parents[2] / "experiments/resnet32-cifar10"


@pytest.fixture
def parts(monkeypatch):
    """The modules of the experiment, whose names are taken back afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = [path.stem for path in FOLDER.glob("*.py") if path.stem != "peer_nncodec"]
    for name in names:
        sys.modules.pop(name, None)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        sys.modules.pop(name, None)


def trained(parts, seed=0):
    """A network with statistics and slopes that are not those of the start."""
    torch.manual_seed(seed)
    network = parts.network.ResNet32()
    for _, _, norm in parts.gauge.convolutions(network):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.uniform_(norm.weight, 0.5, 1)
    return network.eval()


def some_pictures(parts, count=6):
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=random).to(torch.uint8)
    return parts.pictures.Pictures(pixels, torch.arange(count) % 10)


def test_the_network_has_the_published_size(parts):
    assert sum(p.numel() for p in parts.network.ResNet32().parameters()) == 464_154


@pytest.mark.parametrize(
    "counts", [[5], [0, 3], [1, 1], [40, 30, 20, 10], [2**k for k in range(12)], [7] * 9]
)
def test_huffman(parts, counts):
    symbols = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    reader = ByteReader(parts.huffman.huffman_bytes(symbols), "codes")
    assert np.array_equal(parts.huffman.read_huffman(reader), symbols)
    reader.finish()
    lengths = parts.huffman.code_lengths(np.array(counts))[np.array(counts) > 0]
    if len(lengths) > 1:
        assert sum(2.0**-length for length in lengths) == 1  # a full tree
        p = np.array(counts)[np.array(counts) > 0] / sum(counts)
        entropy = -(p * np.log2(p)).sum()
        assert entropy <= (p * lengths).sum() < entropy + 1


def test_huffman_of_nothing(parts):
    nothing = np.zeros(0, np.int64)
    assert not parts.huffman.read_huffman(ByteReader(parts.huffman.huffman_bytes(nothing), "codes")).size


@pytest.mark.parametrize("coder", ["huffman", "sparse_huffman", "arithmetic"])
def test_files_hold_the_codes(parts, coder):
    network = trained(parts)
    parts.gauge.fold_statistics(network)
    weights = parts.classical.matrices_of(network.state_dict())
    coded = parts.scalar.uniform(weights, 0.08, np.ones_like(weights))
    data = getattr(parts.classical, f"{coder}_file")(network.state_dict(), coded)
    again = getattr(parts.classical, f"read_{coder}_file")(data)
    assert np.array_equal(parts.classical.matrices_of(again.state_dict()), coded.centers[coded.codes])
    assert (again.bn1.weight - network.bn1.weight).abs().max() < 0.03


def test_file_of_floats(parts):
    network = trained(parts)
    network.layer3.apply(lambda m: m.weight.data.zero_() if isinstance(m, torch.nn.Conv2d) else None)
    data = parts.classical.sparse_float_file(network.state_dict())
    again = parts.classical.read_sparse_float_file(data)
    assert torch.equal(again.layer2[0].conv1.weight, network.layer2[0].conv1.weight)
    assert not again.layer3[0].conv1.weight.any()


def test_folding_changes_nothing(parts):
    network, x = trained(parts), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = network(x)
        parts.gauge.fold_statistics(network)
        torch.testing.assert_close(network(x), before, atol=1e-3, rtol=1e-3)
    assert not network.bn1.running_mean.any()


def test_views_shift_and_mirror(parts):
    pictures = some_pictures(parts)
    view = parts.pictures.View.number(3, len(pictures))
    seen = view.of(pictures, torch.arange(len(pictures)))
    for i, image in enumerate(parts.pictures.normalised(pictures.pixels)):
        down, right = view.shifts[i].tolist()
        cut = torch.nn.functional.pad(image, (4,) * 4)[:, down : down + 32, right : right + 32]
        assert torch.equal(seen[i], cut.flip(-1) if view.mirrored[i] else cut)


def test_scalar_quantizers_keep_zeros_and_know_their_price(parts):
    weights = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    weights[::2] = 0
    ones = np.ones_like(weights)
    found = {
        "kmeans": parts.scalar.kmeans(weights, 8, ones),
        "uniform": parts.scalar.uniform(weights, 0.05, ones),
        "ecsq": parts.scalar.entropy_constrained(weights, 0.05, ones, 0.2),
    }
    for coded in found.values():
        assert coded.centers[coded.zero] == 0
        assert (coded.codes[::2] == coded.zero).all()
    sizes = {name: len(parts.huffman.huffman_bytes(coded.codes)) for name, coded in found.items()}
    assert sizes["ecsq"] < sizes["uniform"]


def test_distillation_is_zero_at_the_teacher(parts):
    taught = torch.randn(5, 10)
    assert parts.finetune.distillation(taught + 3, taught) == pytest.approx(0, abs=1e-5)
    assert parts.finetune.distillation(-taught, taught) > 0


def test_a_run_goes_on_where_it_stopped(parts, tmp_path):
    """Stopped after each step and begun anew, a run ends where one that is left alone does."""
    pictures, ends = some_pictures(parts, 4), []
    parts.finetune.SAVE_EVERY, parts.start.BISECTIONS = 1, 2

    def run(folder):
        network = trained(parts)
        parts.start.on_grids(network, 2.0, 2.0)
        softness = parts.finetune.Softness.of(network, 1.5, LinearSchedule(2.0, 4.0, 4))
        teaching = parts.finetune.Teaching(pictures, trained(parts), folder)
        return parts.finetune.Run(network, parts.finetune.Recipe(epochs=2, batch=2), teaching, softness)

    for name, times in (("alone", 1), ("stopped", 2)):
        for _ in range(times):
            one = run(tmp_path / name)
            steps = iter([False] * (4 // times) + [True])
            one.train("run", lambda steps=steps: next(steps))
        ends.append(one.network.state_dict())
    assert one.step == 4
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, msg=key)


def test_the_report_has_every_row(parts, tmp_path):
    row = parts.run.Result("a", "pruning", "files/a.bin", 100_000, 18.6, 91.5, None, 0.0)
    (tmp_path / "README.md").write_text(f"x\n{table_start()}\n{TABLE_END}\ny\n")
    parts.report.write_report([row, row], tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.count("| pruning | 100,000 | 18.60 | 91.50 % | 1.13 |") == 2
    assert text.startswith("x\n")
    assert text.endswith("y\n")
    assert (tmp_path / "accuracy-against-bytes.png").stat().st_size > 1000
