import numpy as np
import pytest
import torch

from barycode.evaluation.barycode_codec import QUALITIES, barycode_codec
from barycode.evaluation.rate_distortion import measure
from barycode.images import ImageModel, ModelConfig, compress


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """An untrained model in a file: it compresses badly, but it is a whole codec."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "untrained.safetensors"
    ImageModel(ModelConfig("untrained", channels=8, depth=1, hidden=8)).save(path)
    return path


def test_a_model_file_is_measured_like_any_codec(model_file, small_picture):
    codec = barycode_codec(model_file, settings=(2, 4), name="mine")
    low, high = (measure(codec, small_picture, setting) for setting in codec.settings)
    assert (low.codec, low.setting) == ("mine", 2)
    assert low.size == len(compress(small_picture.image, quality=2, model=model_file))
    assert low.mse > high.mse


def test_effort_reaches_the_encoder(model_file, small_picture):
    files = {}
    for effort in (0, 4):
        codec = barycode_codec(model_file, settings=(3,), effort=effort)
        assert f"effort {effort}" in codec.description
        files[effort] = codec.encode(small_picture.image, 3)
        assert files[effort] == compress(small_picture.image, quality=3, effort=effort, model=model_file)
    assert files[0] != files[4]


def test_the_description_names_the_model_but_no_folder(model_file):
    description = barycode_codec(model_file).description
    assert "untrained.safetensors" in description
    assert str(model_file.parent) not in description


def test_decoded_pictures_are_rgb(model_file, small_picture):
    codec = barycode_codec(model_file)
    grey = small_picture.image.convert("L")
    assert np.asarray(codec.decode(codec.encode(grey, QUALITIES[0]))).shape == (40, 48, 3)
