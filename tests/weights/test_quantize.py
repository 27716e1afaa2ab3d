import pytest
import torch

from barycode.container import unpack
from barycode.weights import Hardened, MaxError, Quantize, Rule, Step, compress, decompress, explain
from barycode.weights.file_format.codebooks import Codebooks
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.methods import Centers, Plain
from barycode.weights.quantization.quantize import prepare_hardened, rounded, uniform_step
from weights.networks import same


def _on_centers(centers: torch.Tensor) -> Hardened:
    indices = torch.randint(len(centers), (30, 40), generator=torch.Generator().manual_seed(7))
    return Hardened(indices, centers)


@pytest.mark.parametrize(
    ("centers", "step"),
    [
        ([-0.5, -0.25, 0.0, 0.25], 0.25),
        ([0.0, 3.0], 3.0),
        ([-3.0, 0.0], 3.0),
        ([-0.5, -0.25, 0.0, 0.26], None),  # not a grid
        ([0.25, 0.5, 0.75], None),  # a grid beside zero
        ([0.0], None),
    ],
)
def test_grids_are_recognised(centers, step):
    assert uniform_step(torch.tensor(centers)) == step


def test_only_float32_grids_are_plain():
    assert uniform_step(torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float16)) is None


def test_a_grid_needs_no_codebook_and_comes_back_to_the_bit():
    hardened = _on_centers(torch.tensor([0.1, 0.0, -0.1, 0.2]).float())
    entry = Entry("w", (30, 40), torch.float32)
    prepared = prepare_hardened(entry, hardened, Codebooks())
    assert prepared.item.method == Plain(float(torch.tensor(0.1)), 0)
    data = compress({"w": hardened.tensor()}, Step(1), hardened={"w": hardened})
    assert not unpack(data).all("BOOK")
    assert same(decompress(data)["w"], hardened.tensor())


def test_other_centers_are_a_codebook():
    hardened = _on_centers(torch.tensor([0.1, 0.0, -0.3, 0.2]))
    assert isinstance(
        prepare_hardened(Entry("w", (30, 40), torch.float32), hardened, Codebooks()).item.method, Centers
    )


@pytest.mark.parametrize("error", [0.3, 0.01, 0.0001])
def test_a_promised_error_is_a_grid_of_twice_that_step(error):
    matrix = torch.randn(60, 40, generator=torch.Generator().manual_seed(8))
    compressed = explain({"m": matrix}, MaxError(error), rules=(Rule("*", Quantize(), "all"),))
    (outcome,) = compressed.report.tensors
    assert outcome.method == "uniform grid"
    assert 0.8 * error < outcome.max_error <= error
    codes = decompress(compressed.data)["m"] / (2 * error)
    assert float((codes - codes.round() * (1 - 2.0**-10)).abs().max()) < 0.02 * float(codes.abs().max())


def test_large_codes_share_out_low_bits():
    """Codes far above the coder's alphabet: their low bits are as they are, and nothing is lost."""
    matrix = 1000 * torch.randn(60, 40, generator=torch.Generator().manual_seed(9))
    compressed = explain({"m": matrix}, MaxError(0.01), rules=(Rule("*", Quantize(), "all"),))
    assert compressed.report.max_error <= 0.01
    assert (
        compressed.report.tensors[0].bits_per_weight < 19.2
    )  # entropy: 18.7, float32 itself costs half the step


@pytest.mark.parametrize("bits", [0, 3, 6])
def test_rounding_keeps_a_relative_error(bits):
    values = torch.randn(1000, generator=torch.Generator().manual_seed(10))
    values = torch.cat([values, values * 1e-38, values * 1e-44])  # subnormal ones too
    values = values[values != 0]
    off = ((rounded(values, bits) - values) / values).abs()
    assert float(off.max()) <= 2.0 ** -(bits + 1)
    assert float(off.max()) > 2.0 ** -(bits + 2)
