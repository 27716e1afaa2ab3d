import pytest
import torch

from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError, UnsupportedFileError
from barycode.images.model import ImageModel
from barycode.images.registry import find_model, model_of, shipped_models


def test_shipped_models_open_by_name_and_by_identity():
    assert "photo" in shipped_models()
    for name in shipped_models():
        model = find_model(name)
        assert model.config.name == name
        assert model_of(model.fingerprint).fingerprint == model.fingerprint


def test_all_shipped_models_together_are_small():
    from barycode.images.registry import SHIPPED

    assert sum(path.stat().st_size for path in SHIPPED.glob("*.safetensors")) < 15e6


@pytest.mark.parametrize("name", shipped_models())
def test_no_sum_of_a_shipped_model_can_leave_the_exact_range(name):
    find_model(name).check_exact()


def test_a_model_with_too_large_weights_is_refused(tiny):
    model = ImageModel.from_bytes(tiny.to_bytes())
    with torch.no_grad():
        model.contexts.ac.heads[0][0][0].bias.fill_(1e6)
    with pytest.raises(InvalidInputError, match="sums"):
        model.check_exact()


def test_an_own_model_is_found_in_the_folders_of_the_variable(tiny, tmp_path, monkeypatch):
    (tmp_path / "own.safetensors").write_bytes(tiny.to_bytes())
    with pytest.raises(UnsupportedFileError, match="BARYCODE_MODELS"):
        model_of(tiny.fingerprint)
    monkeypatch.setenv("BARYCODE_MODELS", str(tmp_path))
    assert model_of(tiny.fingerprint).config.name == "tiny"


def test_unknown_and_missing_models_are_named():
    with pytest.raises(InvalidInputError, match="photo"):
        find_model("nonsense")
    with pytest.raises(MissingDataError, match="gone"):
        find_model("gone.safetensors")


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_damaged_model_file_is_one_typed_error(tiny, cut):
    with pytest.raises(CorruptFileError):
        ImageModel.from_bytes(tiny.to_bytes()[:cut])


def test_a_file_without_metadata_is_not_a_model():
    """Found by fuzzing: safetensors accepts null."""
    header = b'{"__metadata__":null}'
    with pytest.raises(UnsupportedFileError, match="picture model"):
        ImageModel.from_bytes(len(header).to_bytes(8, "little") + header)


def test_a_file_of_something_else_is_not_a_model():
    from safetensors.torch import save

    with pytest.raises(UnsupportedFileError, match="picture model"):
        ImageModel.from_bytes(save({"a": torch.zeros(2)}))
