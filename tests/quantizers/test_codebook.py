import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import Codebook, EmaUpdate, VectorQuantizer, revive, worst_quantized


def trained(size: int = 8) -> VectorQuantizer:
    quantizer = VectorQuantizer(size, 2).requires_grad_(False)
    update = EmaUpdate(decay=0.9)
    for _ in range(5):
        update(quantizer, quantizer.statistics(torch.randn(100, 2)))
    return quantizer


def test_load_forgets_the_statistics():
    codebook = trained().codebook
    assert codebook.counts.sum() > 0
    codebook.load(torch.zeros(8, 2))
    assert codebook.vectors.eq(0).all()
    assert codebook.counts.eq(0).all()


def test_a_revived_row_survives_the_next_steps():
    quantizer = trained()
    codebook = quantizer.codebook
    dead = torch.zeros(8, dtype=torch.bool)
    dead[[2, 5]] = True
    candidates = torch.tensor([[100.0, 100.0], [-100.0, 100.0]])
    assert revive(codebook, dead, candidates) == 2
    assert {tuple(row) for row in codebook.vectors[[2, 5]].tolist()} == {(100, 100), (-100, 100)}
    moved = codebook.vectors[[2, 5]].clone()
    update = EmaUpdate(decay=0.9)
    for _ in range(3):
        update(quantizer, quantizer.statistics(torch.randn(100, 2)))
    assert torch.equal(codebook.vectors[[2, 5]], moved)
    # The first vectors that choose it decide alone where it goes: nothing of the old row is left.
    update(quantizer, quantizer.statistics(torch.tensor([[90.0, 100.0], [90.0, 104.0]])))
    assert [90, 102] in codebook.vectors[[2, 5]].tolist()


def test_revival_resets_the_moments_of_the_optimizer():
    codebook = Codebook(4, 3)
    optimizer = torch.optim.Adam(codebook.parameters())
    codebook.vectors.sum().backward()
    optimizer.step()
    revive(codebook, torch.tensor([False, True, False, False]), torch.zeros(9, 3), optimizer=optimizer)
    moments = optimizer.state[codebook.vectors]["exp_avg"]
    assert moments[1].eq(0).all()
    assert moments[[0, 2, 3]].ne(0).all()


def test_revival_draws_different_candidates_and_is_reproducible():
    dead = torch.ones(4, dtype=torch.bool)
    candidates = torch.arange(12.0).reshape(6, 2)
    first, second = Codebook(4, 2), Codebook(4, 2)
    for codebook in (first, second):
        revive(codebook, dead, candidates, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first.vectors, second.vectors)
    assert first.vectors.unique(dim=0).shape == (4, 2)


@pytest.mark.parametrize(("dead", "candidates", "expected"), [(3, 0, 0), (0, 5, 0), (3, 2, 2)])
def test_revival_moves_as_many_as_it_can(dead: int, candidates: int, expected: int):
    mask = torch.arange(4) < dead
    assert revive(Codebook(4, 2), mask, torch.zeros(candidates, 2)) == expected


@pytest.mark.parametrize(("size", "dim"), [(0, 2), (2, 0), (-1, 2)])
def test_an_empty_codebook_is_a_typed_error(size: int, dim: int):
    with pytest.raises(InvalidInputError, match="whole number >= 1"):
        Codebook(size, dim)


@pytest.mark.parametrize("vectors", [torch.zeros(3, 2), torch.zeros(4, 3), torch.full((4, 2), torch.nan)])
def test_wrong_code_vectors_are_a_typed_error(vectors: torch.Tensor):
    with pytest.raises(InvalidInputError, match="new code vectors"):
        Codebook(4, 2).load(vectors)


def test_the_worst_quantized_vectors_are_those_with_the_largest_error():
    z = torch.tensor([[[0.0, 1.0]], [[5.0, 0.0]], [[0.0, 3.0]]])
    assert worst_quantized(z, torch.zeros_like(z), 2).tolist() == [[5, 0], [0, 3]]
    assert worst_quantized(z, torch.zeros_like(z), 9).shape == (3, 2)
