from functools import partial

import pytest
import torch
from vector_quantize_pytorch import ResidualLFQ

from barycode.errors import InvalidInputError
from barycode.quantizers import LookupFreeQuantizer, ResidualLookupFreeQuantizer, VectorQuantizer

PLAIN = partial(LookupFreeQuantizer, entropy_weight=0.0, commitment_weight=0.0)


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_the_same_points_indices_and_losses_as_the_peer(stages: int):
    theirs = ResidualLFQ(dim=4, codebook_size=16, num_quantizers=stages).train()
    stage = partial(LookupFreeQuantizer, commitment_weight=theirs.layers[0].commitment_loss_weight)
    ours = ResidualLookupFreeQuantizer(16, 4, stages=stages, quantizer=stage).train()
    z = torch.randn(2, 50, 4)
    points, indices, _ = theirs(z)
    found = ours(z)
    torch.testing.assert_close(found.quantized, points)
    assert torch.equal(found.indices, indices)
    codes = theirs.get_output_from_indices(indices) if stages > 1 else points
    torch.testing.assert_close(ours.decode(indices), codes)
    assert found.losses.keys() == ours.stages[0](z).losses.keys()


@pytest.mark.parametrize("stages", [1, 3, 6])
def test_every_stage_halves_the_cells(stages: int):
    quantizer = ResidualLookupFreeQuantizer(2, 1, stages=stages)
    cells = 2**stages
    middles = (2 * torch.arange(cells) - cells + 1) / cells * 2  # of (-2, 2), cut evenly
    assert torch.equal(quantizer.reconstruct(middles[:, None])[:, 0], middles)
    z = torch.linspace(-1.99, 1.99, 500)[:, None]
    assert (z - quantizer.reconstruct(z)).abs().max() <= 2 / cells + 1e-6
    for count in range(1, stages + 1):
        indices = quantizer.encode(z, stages=count)
        assert torch.equal(indices, quantizer.encode(z)[:, :count])
        assert (z - quantizer.decode(indices)).abs().max() <= 2 / 2**count + 1e-6


def test_the_gradient_passes_once():
    z = torch.randn(20, 3, requires_grad=True)
    ResidualLookupFreeQuantizer(8, 3, stages=4, quantizer=PLAIN)(z).quantized.sum().backward()
    assert torch.equal(z.grad, torch.ones(20, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stages": 0}, "stages"),
        ({"quantizer": 3}, "LookupFreeQuantizer"),
        ({"quantizer": VectorQuantizer}, "scale"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        ResidualLookupFreeQuantizer(8, 3, **arguments)
    with pytest.raises(InvalidInputError, match="first stages"):
        ResidualLookupFreeQuantizer(8, 3).decode(torch.zeros(4, 3, dtype=torch.int64))
