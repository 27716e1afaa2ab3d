"""Files of earlier versions open in every later one: the same codes, the same pixels up to rounding.

GENERATE_GOLDEN=1 writes new files; never replace one that a release has written.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from barycode.container import unpack
from barycode.images import compress, decompress
from barycode.images.codec import read_codes, read_header
from barycode.images.model import ImageModel
from barycode.images.slices import SLICES
from barycode.images.vectors import UNIT
from books import with_books
from scenes import scene

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "tiny.safetensors"
NAMES = {"v2-colour": 4.0, "v2-grey-alpha": 2.5, "v2-vectors": 5.0}
DIGESTS = {
    "v2-colour": "5295b1186964428b9c1f3d4f16c8473e0c3d0a7a4a4870746b09ee7389979392",
    "v2-grey-alpha": "7453d98ddd0cb3d08ac7956ff4c2b360f0b5461afffa0a793a685ee79621a365",
    "v2-vectors": "fdade9488c47dad2c43bfc74450815b2d7baa6fc8af77554b9bfed89e85c1673",
}


def _picture(name: str) -> Image.Image:
    image = Image.fromarray(scene(75, 133, seed=7))
    if "grey" in name:
        image = image.convert("LA")
        image.putalpha(Image.fromarray(scene(75, 133, seed=8)).convert("L"))
    return image


def _model(name: str) -> ImageModel:
    model = ImageModel.from_bytes(TINY.read_bytes())
    return with_books(model) if "vectors" in name else model


def _digest(name: str, data: bytes) -> str:
    container = unpack(data)
    codes = read_codes(container, read_header(container), _model(name)).codes
    whole = codes if "vectors" not in name else codes.astype(np.float32) * UNIT
    return hashlib.sha256(whole.astype(np.int16).tobytes()).hexdigest()


@pytest.mark.skipif("GENERATE_GOLDEN" not in os.environ, reason="writes golden files on request only")
@pytest.mark.parametrize("name", NAMES)
def test_generate(name, tiny):
    if not TINY.exists():
        TINY.write_bytes(tiny.to_bytes())
    data = compress(_picture(name), quality=NAMES[name], model=_model(name))
    (GOLDEN / f"{name}.bary").write_bytes(data)
    decompress(data, model=_model(name)).save(GOLDEN / f"{name}.png")
    assert _digest(name, data) == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_codes_of_golden_files_are_exact(name):
    data = (GOLDEN / f"{name}.bary").read_bytes()
    assert _digest(name, data) == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_pixels_of_golden_files_are_those_of_then(name):
    decoded = decompress((GOLDEN / f"{name}.bary").read_bytes(), model=_model(name))
    with Image.open(GOLDEN / f"{name}.png") as expected:
        assert decoded.mode == expected.mode
        difference = np.asarray(decoded).astype(int) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01


def test_a_model_file_read_and_written_again_is_the_same():
    data = TINY.read_bytes()
    assert ImageModel.from_bytes(data).to_bytes() == data


def test_a_file_of_vectors_has_vectors_and_escapes():
    codes = read_codes(*_opened("v2-vectors")).codes[list(SLICES[2].bands)].astype(np.float32)
    assert (codes != np.rint(codes)).any()
    assert np.abs(codes).max() > 2


def _opened(name: str):
    container = unpack((GOLDEN / f"{name}.bary").read_bytes())
    return container, read_header(container), _model(name)
