"""What is measured of tensors: the same by blocks as of the whole, in memory that does not grow with them."""

import sys

import numpy as np
import pytest
import torch

from barycode.benchmarks.timing import peak_megabytes
from barycode.weights.allocation.measure import BLOCK, OUTLIER, WINSOR, Measurement, table_reason
from barycode.weights.deltas import bit_difference


def _draw(*shape: int, zeros: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(shape, generator=generator) * torch.randn(shape[0], 1, generator=generator).exp()
    return drawn * (torch.rand(shape, generator=generator) >= zeros)


@pytest.mark.parametrize("zeros", [0.0, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_scale_of_many_blocks_is_that_of_the_whole(dtype, zeros):
    tensor = _draw(1100, 2000, zeros=zeros).to(dtype)
    assert tensor.numel() > 2 * BLOCK
    sizes = tensor.double().abs().flatten().numpy()
    median = np.median(sizes[sizes > 0])
    whole = np.sqrt(np.square(np.minimum(sizes, WINSOR * median)).mean())
    assert np.quantile(sizes, 1 - 1 / 256) < OUTLIER * whole  # no entry is far
    assert Measurement.of(tensor).scale == pytest.approx(whole, rel=0.01)


def test_blocks_of_zeros_count_as_zeros():
    tensor = torch.zeros(4 * BLOCK)
    tensor[3 * BLOCK :] = 2.0
    assert Measurement.of(tensor).scale == pytest.approx(1.0)
    assert Measurement.of(torch.zeros(2 * BLOCK)).scale == 0.0


def test_one_entry_anywhere_makes_no_table():
    long = torch.arange(2 * BLOCK + 5).float()
    assert table_reason(long) == "whole numbers"
    long[-1] += 0.5
    assert table_reason(long) == "a smooth sequence"
    noisy = torch.linspace(0, 1, 2 * BLOCK)
    noisy[BLOCK:] = torch.rand(BLOCK)
    assert table_reason(noisy) is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
def test_a_large_tensor_is_measured_without_a_copy_of_it():
    tensor = torch.randn(2**12, 2**14).bfloat16()  # 128 MB
    assert peak_megabytes(lambda: Measurement.of(tensor)) < 64


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
def test_a_difference_takes_memory_for_itself():
    tensor, base = torch.zeros(2**24), torch.ones(2**24)  # 64 MB each
    assert peak_megabytes(lambda: bit_difference(tensor, base)) < 64 + 40
