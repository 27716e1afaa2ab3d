"""Offsets of scales: what a tile says about itself before its first code."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from barycode.errors import CorruptFileError
from barycode.images.model import ImageModel
from barycode.images.prediction import Prediction
from barycode.images.registry import find_model
from barycode.images.scale_offsets import BITS, COST, LOWEST, ScaleOffsets, fit_offsets
from barycode.images.tile import Setting, decode_tile, encode_tile
from barycode.images.transform import mirror_samples
from barycode.images.walk import FAMILIES, Step
from barycode.rate import SymbolDecoder, SymbolEncoder
from scenes import scene

halves = arrays(np.int64, FAMILIES, elements=st.integers(LOWEST, LOWEST + 2**BITS - 1))


@pytest.fixture(scope="module")
def model() -> ImageModel:
    return find_model("photo")


def coefficients(model: ImageModel, amplitude: float = 1.0) -> torch.Tensor:
    pixels = torch.from_numpy(scene(96, 128)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        return model.analysis(mirror_samples(pixels))[0] * amplitude


@given(halves)
def test_what_is_written_is_read(values):
    coder = SymbolEncoder()
    ScaleOffsets(values).write(coder)
    decoder = SymbolDecoder(coder.finish())
    assert (ScaleOffsets.read(decoder).halves == values).all()
    decoder.finish()


def test_none_written_as_some_is_refused():
    coder = SymbolEncoder()
    coder.encode_uniform(np.array([1]), 1)
    coder.encode_uniform(np.full(FAMILIES, -LOWEST), BITS)
    with pytest.raises(CorruptFileError, match="all zero"):
        ScaleOffsets.read(SymbolDecoder(coder.finish()))


@pytest.mark.parametrize("seed", range(3))
def test_a_tile_with_any_offsets_decodes_to_its_codes(model, seed):
    random = np.random.default_rng(seed)
    offsets = ScaleOffsets(random.integers(LOWEST, LOWEST + 2**BITS, FAMILIES))
    tile = encode_tile(model, coefficients(model), Setting(-20), 0.1, offsets)
    assert torch.equal(decode_tile(model, tile.payload, (12, 16), Setting(-20)), tile.codes)


@pytest.mark.parametrize("amplitude", [0.5, 2.0])
def test_the_fitted_offsets_make_a_file_smaller_that_is_not_as_expected(model, amplitude):
    given = coefficients(model, amplitude)
    plain = encode_tile(model, given, Setting(-20), 1e-6)
    offsets = fit_offsets(plain.written, model.code_lengths())
    moved = encode_tile(model, given, Setting(-20), 1e-6, offsets)
    assert offsets.halves.any()
    assert len(moved.payload) < len(plain.payload)
    assert torch.equal(moved.codes, plain.codes)  # at a rate_weight of nothing, the nearest codes either way


def test_the_direction_is_that_of_the_codes(model):
    """Laplacian codes that are twice as wide as what is predicted want four classes more: the most is 1.5."""
    scale = torch.full((1, 1, 4000), 12.5)
    wide = torch.from_numpy(np.random.default_rng(0).laplace(0, 0.04 * 2 ** (16.5 / 4), (1, 1, 4000)).round())
    step = Step((1,), torch.arange(4000), 7, Prediction(scale, torch.zeros_like(scale)))
    assert fit_offsets([(step, wide.float())], model.code_lengths()).halves[7] == LOWEST + 2**BITS - 1
    narrow = Prediction(scale + 8, torch.zeros_like(scale))
    step = Step((1,), torch.arange(4000), 7, narrow)
    assert fit_offsets([(step, wide.float())], model.code_lengths()).halves[7] == LOWEST


def test_offsets_that_do_not_earn_their_bits_are_none(model):
    scale = torch.full((1, 1, COST // 4), 12.5)
    codes = torch.ones_like(scale)
    step = Step((1,), torch.arange(COST // 4), 7, Prediction(scale, torch.ones_like(scale)))
    assert not fit_offsets([(step, codes)], model.code_lengths()).halves.any()
