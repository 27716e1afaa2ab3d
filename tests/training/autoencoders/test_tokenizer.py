"""Checkpoints of runs as tokenizers of pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError
from barycode.quantizers import VectorQuantizer
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from barycode.training.autoencoders.pictures import to_tensor
from barycode.training.autoencoders.tokenizer import PictureTokenizer, newest, open_tokenizer
from barycode.training.checkpoints import save_state
from encoders import tokens_run

METHODS = ("vq-revive", "residual-2", "fsq")


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_becomes_the_indices_that_the_run_gives_it(tmp_path, method):
    run = tokens_run(tmp_path, method, size=64 if method == "fsq" else 16)
    pixels = np.random.default_rng(1).integers(0, 256, (21, 27, 3), np.uint8)
    data = PictureTokenizer(newest(run))(Image.fromarray(pixels))
    tokenizer = open_tokenizer(run)
    found = unpack_codes(tokenizer.quantizer, data)
    with torch.no_grad():
        expected = tokenizer.encode(to_tensor(pixels[None, :20, :24]))[0]
    assert torch.equal(found, expected)
    assert found.shape[:2] == (5, 6)


def test_pictures_of_any_size_become_squares_of_one(tmp_path):
    tokenizer = PictureTokenizer(newest(tokens_run(tmp_path)), side=16)
    quantizer = open_tokenizer(tokenizer.checkpoint).quantizer
    for size, mode in (((40, 30), "RGB"), ((9, 100), "L"), ((16, 16), "RGBA")):
        assert unpack_codes(quantizer, tokenizer(Image.new(mode, size))).shape == (4, 4)


def test_what_is_no_tokenizer_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(MissingDataError, match="no checkpoint"):
        open_tokenizer(tmp_path)
    with pytest.raises(InvalidInputError, match="without a quantizer"):
        open_tokenizer(tokens_run(tmp_path, "none"))
    save_state(tmp_path / "other.safetensors", {"task": {"model": {}}})
    with pytest.raises(CorruptFileError, match="recipe"):
        open_tokenizer(tmp_path / "other.safetensors")
    run = tokens_run(tmp_path)
    with pytest.raises(InvalidInputError, match="multiple of 4"):
        PictureTokenizer(newest(run), side=18)(Image.new("RGB", (20, 20)))
    with pytest.raises(InvalidInputError, match="too small"):
        PictureTokenizer(newest(run))(Image.new("RGB", (20, 3)))


def test_the_newest_sound_checkpoint_is_taken(tmp_path, capsys):
    run = tokens_run(tmp_path)
    (sound,) = run.glob("step-*.safetensors")
    damaged = run / "step-99999999.safetensors"
    damaged.write_bytes(sound.read_bytes()[:-9])
    assert newest(run) == sound
    assert damaged.name in capsys.readouterr().err
    assert open_tokenizer(run).quantizer is not None
    sound.write_bytes(b"")
    with pytest.raises(CorruptFileError, match="no checkpoint that can be read"):
        newest(run)


def test_few_indices_do_not_pay_for_tables():
    quantizer = VectorQuantizer(codebook_size=512, dim=4)
    indices = torch.randint(512, (16, 16), generator=torch.Generator().manual_seed(0))
    data = pack_codes(quantizer, indices)
    assert torch.equal(unpack_codes(quantizer, data), indices)
    assert len(data) < 16 * 16 * 9 / 8 + 160
