import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    CodebookMaintenance,
    LookupFreeQuantizer,
    ProjectedQuantizer,
    VectorQuantizer,
    kmeans,
    orthogonality,
)


def test_it_is_the_inner_quantizer_between_two_linear_maps():
    quantizer = ProjectedQuantizer(16, 6, codebook_dim=3)
    z = torch.randn(2, 300, 6)
    inner = quantizer.quantizer(quantizer.down(z))
    result = quantizer(z)
    assert torch.equal(result.indices, inner.indices)
    torch.testing.assert_close(result.quantized, quantizer.up(inner.quantized))
    torch.testing.assert_close(result.loss, inner.loss)


def test_gradients_reach_both_maps_the_codebook_and_z():
    quantizer = ProjectedQuantizer(16, 6, codebook_dim=3)
    z = torch.randn(50, 6, requires_grad=True)
    result = quantizer(z)
    (result.quantized.square().sum() + result.loss).backward()
    assert all((parameter.grad != 0).any() for parameter in (*quantizer.parameters(), z))


def test_it_starts_at_the_principal_axes():
    data = torch.randn(4000, 2) @ torch.randn(2, 8) + torch.randn(8)
    quantizer = ProjectedQuantizer(256, 8, codebook_dim=2)
    quantizer.initialize(data, kmeans)
    plain = VectorQuantizer(256, 8)
    plain.initialize(data, kmeans)
    ours, theirs = ((data - q.reconstruct(data)).square().mean() for q in (quantizer, plain))
    assert ours < 1.1 * theirs  # nothing is lost: the data have two dimensions


def test_maintenance_looks_after_the_codebook_inside():
    torch.manual_seed(0)
    quantizer = ProjectedQuantizer(32, 6, codebook_dim=2)
    maintenance = CodebookMaintenance(quantizer)
    for _ in range(10):
        quantizer(torch.randn(500, 6) + 5)
        maintenance.step()
    assert len(quantizer.encode(torch.randn(4000, 6) + 5).unique()) == 32


def test_signs_of_any_dimension():
    quantizer = ProjectedQuantizer(2**5, 16, codebook_dim=5, quantizer=LookupFreeQuantizer)
    assert quantizer(torch.randn(3, 16)).indices.shape == (3,)
    with pytest.raises(InvalidInputError, match="6 dimensions cannot be projected onto 7"):
        ProjectedQuantizer(16, 6, codebook_dim=7)


def test_orthogonality_of_code_vectors():
    assert orthogonality(3 * torch.eye(4)) == 0
    torch.testing.assert_close(orthogonality(torch.ones(5, 3)), torch.tensor(1 - 1 / 5))
    vectors = torch.randn(20, 6, dtype=torch.float64)
    directions = vectors / vectors.norm(dim=1, keepdim=True)
    expected = (directions @ directions.T - torch.eye(20)).square().sum() / 400
    torch.testing.assert_close(orthogonality(vectors), expected)
    peer = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    torch.testing.assert_close(orthogonality(vectors), peer.orthogonal_loss_fn(vectors[None]))
