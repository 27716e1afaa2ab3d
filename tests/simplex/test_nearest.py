import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.quantizers import nearest
from barycode.simplex.nearest import BLOCK_ELEMENTS, MAX_ROWS, MIN_ROWS, block_rows


def brute_force(z: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    return (z.double().unsqueeze(-2) - codebook.double()).square().sum(-1).argmin(-1)


@pytest.mark.parametrize("size", [1, 2, 3, 127, 128, 129, 255, 256, 257, 383, 1000, 1009])
def test_agrees_with_brute_force_for_any_codebook_size(size: int):
    generator = torch.Generator().manual_seed(size)
    codebook = torch.randn(size, 6, generator=generator)
    z = torch.randn(300, 6, generator=generator)
    assert torch.equal(nearest(z, codebook), brute_force(z, codebook))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 4), st.integers(0, 1000))
def test_integers_are_exact_and_ties_go_to_the_lowest_index(n: int, size: int, dim: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    # Even integers around an even mean of zero: every score is exact, and equal distances abound.
    half = torch.randint(-2, 3, (size, dim), generator=generator).float() * 2
    codebook = torch.cat([half, -half])
    z = torch.randint(-4, 5, (n, dim), generator=generator).float()
    assert torch.equal(nearest(z, codebook), brute_force(z, codebook))


@pytest.mark.parametrize("size", [2, 100, 128, 300, 2000])
def test_copies_of_a_code_vector_are_never_chosen_over_the_first(size: int):
    codebook = torch.randn(1, 5).repeat(size, 1)
    assert (nearest(torch.randn(500, 5), codebook) == 0).all()


def test_a_far_origin_costs_no_accuracy():
    codebook = torch.randn(200, 8)
    z = torch.randn(500, 8)
    far = 2.0**12
    expected = brute_force(z + far, codebook + far)
    assert torch.equal(nearest(z + far, codebook + far), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_compared_in_float32(dtype: torch.dtype):
    codebook = torch.linspace(-1, 1, 512).unsqueeze(1).to(dtype)
    codebook = codebook.unique(dim=0)
    assert torch.equal(nearest(codebook, codebook), torch.arange(len(codebook)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fine = torch.linspace(-1, 1, 512).unsqueeze(1)
        assert torch.equal(nearest(fine, fine), torch.arange(512))


def test_rows_that_are_not_finite_get_code_zero_and_disturb_no_other():
    codebook = torch.randn(300, 3)
    z = torch.randn(10, 3)
    expected = brute_force(z, codebook)
    z[2, 1], z[5, 0], z[7, 2] = torch.nan, torch.inf, -torch.inf
    expected[[2, 5, 7]] = 0
    assert torch.equal(nearest(z, codebook), expected)


@pytest.mark.parametrize("numbers", [1, 75, 128, 512, 1000, 8192, 10**7])
def test_blocks_are_bounded_powers_of_two(numbers: int):
    rows = block_rows(numbers)
    assert rows.bit_count() == 1
    assert MIN_ROWS <= rows <= MAX_ROWS
    assert rows == MIN_ROWS or rows * numbers <= BLOCK_ELEMENTS
    assert rows == MAX_ROWS or 2 * rows * numbers > BLOCK_ELEMENTS


@pytest.mark.parametrize("count", [0, 1, MAX_ROWS - 1, MAX_ROWS, MAX_ROWS + 1])
def test_batches_around_a_block(count: int):
    codebook = torch.randn(16, 2)
    z = torch.randn(count, 2)
    assert torch.equal(nearest(z, codebook), brute_force(z, codebook))


def test_scales_from_tiny_to_huge():
    codebook, z = torch.randn(50, 4), torch.randn(200, 4)
    for scale in (1e-12, 1e-3, 1e6, 1e15):
        assert torch.equal(nearest(z * scale, codebook * scale), brute_force(z, codebook))
