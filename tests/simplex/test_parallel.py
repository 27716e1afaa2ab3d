import pytest
import torch

from barycode.simplex import compiled, solve_convex_program
from barycode.simplex.parallel import map_blocks
from barycode.simplex.sparse import BLOCK_ENTRIES

BLOCKS = [slice(start, start + 5) for start in range(0, 40, 5)]
CPU = torch.device("cpu")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_blocks_come_back_in_order_and_threads_as_they_were(threads, count):
    threads(count)
    found = map_blocks(lambda rows: (rows.start, torch.get_num_threads()), BLOCKS, CPU)
    assert [start for start, _ in found] == list(range(0, 40, 5))
    assert {alone for _, alone in found} == {1}
    assert torch.get_num_threads() == count


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_recorded_and_inference_tensors_may_be_changed(threads, count):
    threads(count)
    x = torch.ones(40, requires_grad=True)
    assert not any(part.requires_grad for part in map_blocks(lambda rows: x[rows] * 2, BLOCKS, CPU))
    with torch.inference_mode():
        y = torch.zeros(40)
        map_blocks(lambda rows: y[rows].add_(1), BLOCKS, CPU)
    assert y.sum() == 40


def test_an_error_in_a_block_is_the_callers_and_threads_are_given_back(threads):
    threads(2)

    def fail(rows):
        raise RuntimeError(f"block {rows.start}")

    with pytest.raises(RuntimeError, match="block 0"):
        map_blocks(fail, BLOCKS, CPU)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("installed", [True, False])
def test_solutions_and_gradients_do_not_depend_on_the_number_of_threads(threads, monkeypatch, installed):
    monkeypatch.setattr(compiled, "INSTALLED", installed)
    size = 64
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2 * BLOCK_ENTRIES // size + 7, 4, generator=generator, dtype=torch.float64)
    codebook = torch.randn(size, 4, generator=generator, dtype=torch.float64)
    found = []
    for count in (1, 2):
        threads(count)
        inputs = [z.clone().requires_grad_(), codebook.clone().requires_grad_()]
        combined = solve_convex_program(*inputs, 0.1).combined
        found.append([combined.detach(), *torch.autograd.grad(combined.square().sum(), inputs)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
