import pytest
import torch

from barycode.container import ByteWriter, Section, pack
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.quantizers import VectorQuantizer
from barycode.rate import FrequencyTables
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from barycode.training.autoencoders.methods import METHODS

CODED = [name for name, method in METHODS.items() if method.build and not name.startswith("scq")]


def quantizer_of(name):
    method = METHODS[name]
    return method.build(16, method.latent_dim(16))


@pytest.mark.parametrize("name", CODED)
def test_codes_come_back_from_their_bytes(name):
    quantizer = quantizer_of(name)
    indices = quantizer.encode(torch.randn(3, 2, 2, quantizer.dim))
    data = pack_codes(quantizer, indices)
    assert torch.equal(unpack_codes(quantizer, data), indices)


def test_a_large_grid_is_coded_by_its_coordinates():
    quantizer = METHODS["fsq"].build(2**18, 6)
    indices = quantizer.encode(torch.randn(300, 4, 4, 6))
    data = pack_codes(quantizer, indices)
    assert torch.equal(unpack_codes(quantizer, data), indices)
    assert len(data) < 18 * indices.numel() / 8 + 200


def test_a_file_is_about_as_long_as_the_entropy_of_its_codes():
    quantizer = quantizer_of("vq")
    indices = torch.arange(16).repeat(500).reshape(20, 20, 20)
    assert 4 * 8000 / 8 < len(pack_codes(quantizer, indices)) < 4 * 8000 / 8 + 150


def test_continuous_weights_fit_in_no_file():
    quantizer = quantizer_of("scq-relaxed")
    with pytest.raises(InvalidInputError, match="fit in no file"):
        pack_codes(quantizer, torch.zeros(2, 2, 2, dtype=torch.int64))


def test_a_damaged_file_is_a_typed_error():
    quantizer = quantizer_of("vq")
    data = pack_codes(quantizer, torch.zeros(2, 2, 2, dtype=torch.int64))
    for place in range(0, len(data), 7):
        broken = bytearray(data)
        broken[place] ^= 0x10
        with pytest.raises(CorruptFileError):
            unpack_codes(quantizer, bytes(broken))


def test_no_codes_of_a_huge_extent_are_corrupt():
    """Found by fuzzing: a shape of a zero and of 2^64 - 1 has no codes, and fits no tensor."""
    shape = ByteWriter()
    for number in (2, 0, 2**64 - 1):
        shape.varint(number)
    tables = FrequencyTables.from_counts([[1, 1]])
    sections = [Section("SHAP", shape.finish()), Section("TABL", tables.to_bytes()), Section("CODE", b"")]
    with pytest.raises(CorruptFileError, match="announces"):
        unpack_codes(VectorQuantizer(4, 2), pack("vect", sections))
