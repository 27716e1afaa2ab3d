"""Sets by name: packs and public layouts give the same, and what is missing is said."""

import numpy as np
import pytest
from PIL import Image

from barycode.errors import InvalidInputError, MissingDataError
from barycode.training.datasets.known import KNOWN, known_pictures, square
from barycode.training.datasets.picture_set import picture_array


@pytest.fixture
def signs(tmp_path, images):
    """GTSRB as its publisher packs it, two pictures a split."""
    for where in ("Final_Training/Images/00003", "Final_Test/Images"):
        (tmp_path / "GTSRB" / where).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(images[i]).save(tmp_path / "GTSRB" / where / f"0000{i}.ppm")
    (tmp_path / "GTSRB/GT-final_test.csv").write_text("Filename;ClassId\n00000.ppm;3\n00001.ppm;3\n")
    return tmp_path


@pytest.mark.parametrize("split", ["train", "test"])
def test_signs_are_resized_and_keep_their_classes(signs, images, split):
    found = known_pictures("gtsrb", split, signs)
    assert found.labels == ((0, 0) if split == "train" else (3, 3))  # folders are numbered in their order
    expected = picture_array(images[:2]).array((32, 32))
    assert np.array_equal(found.array(), expected)
    assert found[1:].array().shape == (1, 32, 32, 3)


def test_bedrooms_are_the_middle_of_any_pictures(tmp_path):
    place = tmp_path / "lsun_bedroom/test"
    place.mkdir(parents=True)
    pixels = np.zeros((128, 200, 3), np.uint8)
    pixels[:, 36:164] = 200  # the middle square
    Image.fromarray(pixels).save(place / "wide.png")
    assert (known_pictures("lsun", "test", tmp_path).array() == 200).all()
    with pytest.raises(MissingDataError, match="no folder train/"):
        known_pictures("lsun", "train", tmp_path)


def test_a_square_averages_boxes():
    pixels = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6)
    small = np.asarray(square(Image.fromarray(pixels), 2))
    expected = pixels[:, 1:5].reshape(2, 2, 2, 2).mean((1, 3))
    assert np.abs(small - expected).max() <= 0.5


@pytest.mark.parametrize("name", KNOWN)
def test_a_missing_set_says_what_was_looked_for_and_where_to_get_it(tmp_path, name):
    with pytest.raises(MissingDataError) as missing:
        known_pictures(name, "train", tmp_path)
    told = str(missing.value)
    assert KNOWN[name].packs["train"] in told
    assert f"{KNOWN[name].public}/" in told
    assert "--data" in told


def test_another_name(tmp_path):
    with pytest.raises(InvalidInputError, match="choose from cifar10, gtsrb, lsun"):
        known_pictures("mnist", "train", tmp_path)
