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
from scenes import scene

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "tiny.safetensors"
NAMES = {"v1-colour": 4.0, "v1-grey-alpha": 2.5}
DIGESTS = {
    "v1-colour": "5295b1186964428b9c1f3d4f16c8473e0c3d0a7a4a4870746b09ee7389979392",
    "v1-grey-alpha": "7453d98ddd0cb3d08ac7956ff4c2b360f0b5461afffa0a793a685ee79621a365",
}


def _picture(name: str) -> Image.Image:
    image = Image.fromarray(scene(75, 133, seed=7))
    if "grey" in name:
        image = image.convert("LA")
        image.putalpha(Image.fromarray(scene(75, 133, seed=8)).convert("L"))
    return image


def _codes(data: bytes) -> np.ndarray:
    container = unpack(data)
    return read_codes(container, read_header(container), ImageModel.from_bytes(MODEL.read_bytes())).codes


@pytest.mark.skipif("GENERATE_GOLDEN" not in os.environ, reason="writes golden files on request only")
@pytest.mark.parametrize("name", NAMES)
def test_generate(name, tiny):
    MODEL.write_bytes(tiny.to_bytes())
    data = compress(_picture(name), quality=NAMES[name], model=MODEL)
    (GOLDEN / f"{name}.bary").write_bytes(data)
    decompress(data, model=MODEL).save(GOLDEN / f"{name}.png")
    assert hashlib.sha256(_codes(data).tobytes()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_codes_of_golden_files_are_exact(name):
    data = (GOLDEN / f"{name}.bary").read_bytes()
    assert hashlib.sha256(_codes(data).tobytes()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_pixels_of_golden_files_are_those_of_then(name):
    decoded = decompress((GOLDEN / f"{name}.bary").read_bytes(), model=MODEL)
    with Image.open(GOLDEN / f"{name}.png") as expected:
        assert decoded.mode == expected.mode
        difference = np.asarray(decoded).astype(int) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_read_and_written_again_is_the_same(name):
    data = MODEL.read_bytes()
    assert ImageModel.from_bytes(data).to_bytes() == data
