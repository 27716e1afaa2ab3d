from functools import partial

import torch

from barycode.quantizers import ExactProgram, SparseCode, archetypes, kmeans


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def error(vectors: torch.Tensor, codebook: torch.Tensor, program) -> float:
    return (vectors - program(vectors, codebook).decode(codebook)).square().mean().item()


def test_corners_of_a_cloud_are_found():
    """Points inside of a triangle are explained by three code vectors near its corners."""
    corners = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    mixing = torch.distributions.Dirichlet(torch.full((3,), 0.3))
    torch.manual_seed(0)
    vectors = mixing.sample((600,)) @ corners
    found = archetypes(vectors, 3, generator=generator())
    assert torch.cdist(corners, found).amin(1).max() < 0.8


def test_more_rounds_lower_the_error_of_the_program():
    vectors = torch.randn(1500, 6, generator=generator())
    program = ExactProgram(0.1)
    found = [archetypes(vectors, 24, program=program, iterations=i, generator=generator()) for i in (0, 1, 3)]
    errors = [error(vectors, codebook, program) for codebook in found]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.3 * error(vectors, kmeans(vectors, 24, generator=generator()), program)


def test_a_codebook_is_fitted_to_its_own_sparse_code():
    vectors = torch.randn(2000, 4, generator=generator())
    code = SparseCode(2, 3)
    start = partial(kmeans, generator=generator())
    fitted = archetypes(vectors, 16, program=code, start=start, iterations=8, generator=generator())
    assert error(vectors, fitted, code) < 0.8 * error(vectors, start(vectors, 16), code)


def test_code_vectors_that_nothing_uses_stay_where_they_are():
    vectors = torch.cat([torch.randn(200, 3, generator=generator()), torch.zeros(200, 3)])
    found = archetypes(vectors, 300, iterations=2, generator=generator())
    assert found.isfinite().all()
