import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import ProductQuantizer, SoftToHardQuantizer, VectorQuantizer


def test_each_group_is_a_quantizer_of_its_slice():
    quantizer = ProductQuantizer(8, 6, groups=3)
    z = torch.randn(20, 6)
    result = quantizer(z)
    for i, group in enumerate(quantizer.groups):
        assert isinstance(group, VectorQuantizer)
        part = group(z[:, 2 * i : 2 * i + 2])
        assert torch.equal(result.quantized[:, 2 * i : 2 * i + 2], part.quantized)
        assert torch.equal(result.indices[:, i], part.indices)


def test_losses_are_those_of_the_whole_vector():
    quantizer = ProductQuantizer(8, 6, groups=3)
    z = torch.randn(20, 6)
    expected = (z - quantizer.reconstruct(z)).square().mean()
    torch.testing.assert_close(quantizer(z).losses["commitment_loss"], expected)
    torch.testing.assert_close(quantizer(z).loss, 1.25 * expected)


def test_weights_decode_with_block_diagonal_codebooks():
    quantizer = ProductQuantizer(8, 6, groups=3, quantizer=SoftToHardQuantizer)
    result = quantizer(torch.randn(20, 6))
    rows = [torch.nn.functional.pad(c.vectors, (2 * i, 4 - 2 * i)) for i, c in enumerate(quantizer.codebooks)]
    torch.testing.assert_close(result.weights.decode(torch.cat(rows)), result.quantized)


def test_wrong_arguments_are_typed_errors():
    for groups, message in ((0, "whole number"), (4, "equal groups")):
        with pytest.raises(InvalidInputError, match=message):
            ProductQuantizer(8, 6, groups=groups)
    with pytest.raises(InvalidInputError, match=r"\(\.\.\., 2\)"):
        ProductQuantizer(8, 6).decode(torch.zeros(5, 3, dtype=torch.int64))
