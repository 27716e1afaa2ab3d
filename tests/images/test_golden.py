"""Files of earlier versions open in every later one: the same codes, the same pixels up to rounding.

GENERATE_GOLDEN=1 writes new files; never replace one that a release has written.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from barycode.container import Section, pack, unpack
from barycode.images import compress, decompress, lattice
from barycode.images.codec import read_codes, read_header
from barycode.images.drawing import Drawing
from barycode.images.model import ImageModel
from barycode.images.slices import DC_BANDS, SLICES
from barycode.images.vectors import UNIT
from code_vectors import with_code_vectors
from scenes import scene

GOLDEN = Path(__file__).parent / "golden"
TINY = GOLDEN / "tiny.safetensors"
NAMES = {"v2-colour": 4.0, "v2-grey-alpha": 2.5, "v2-vectors": 5.0, "v2-drawing": 3.0, "v2-layers": 3.0}
DIGESTS = {
    "v2-colour": "29bdb0732d4889a21598653878ca3a41725fbb19d07940ad0a5debc854421d27",
    "v2-grey-alpha": "56256cfd50037c390fe9c637d399ccf53de3d4505c8c97d6df33ddb586d90a1f",
    "v2-vectors": "b24e12928584d417846fe35aaa8d67bc24f0314e402ded9558a6de9733caeac5",
}


def _picture(name: str) -> Image.Image:
    image = Image.fromarray(scene(75, 133, seed=7))
    if "drawing" in name:
        image = image.quantize(4).convert("RGB")
    if "grey" in name:
        image = image.convert("LA")
        image.putalpha(Image.fromarray(scene(75, 133, seed=8)).convert("L"))
    return image


def _model(name: str) -> ImageModel:
    model = ImageModel.from_bytes(TINY.read_bytes())
    return with_code_vectors(model) if "vectors" in name else model


def _digest(name: str, data: bytes) -> str:
    """Of all codes as integers: DC in eighths, AC in members of code vectors."""
    container = unpack(data)
    codes = read_codes(container, read_header(container), _model(name))
    ac = np.delete(codes.bands, DC_BANDS, 0).astype(np.float32) * UNIT
    whole = np.concatenate([codes.dc * lattice.UNIT, ac])
    assert (whole == np.rint(whole)).all()
    return hashlib.sha256(whole.astype(np.int32).tobytes()).hexdigest()


@pytest.mark.skipif("GENERATE_GOLDEN" not in os.environ, reason="writes golden files on request only")
@pytest.mark.parametrize("name", NAMES)
def test_generate(name, tiny):
    if not TINY.exists():
        TINY.write_bytes(tiny.to_bytes())
    data = compress(_picture(name), quality=NAMES[name], model=_model(name))
    if "layers" in name:  # an untrained model finds nothing worth drawing
        pixels = np.zeros((75, 133, 3), np.uint8)
        pixels[5::12, 7::9] = 255, 255, 200
        data = pack(
            "imag", [*unpack(data).sections, Section("FLAT", Drawing(pixels, pixels[..., 0] > 0).data)]
        )
    (GOLDEN / f"{name}.bary").write_bytes(data)
    decompress(data, model=_model(name)).save(GOLDEN / f"{name}.png")
    print(name, _digest(name, data) if name in DIGESTS else "")


@pytest.mark.parametrize("name", DIGESTS)
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


@pytest.mark.parametrize(("name", "tags"), [("v2-drawing", "FLAT"), ("v2-layers", "TILE FLAT")])
def test_a_drawing_is_a_drawing(name, tags):
    sections = unpack((GOLDEN / f"{name}.bary").read_bytes()).sections
    assert [section.tag for section in sections] == ["HEAD", *tags.split()]


def test_a_file_of_vectors_has_vectors_and_escapes():
    codes = read_codes(*_opened("v2-vectors")).bands[list(SLICES[2].bands)].astype(np.float32)
    assert (codes != np.rint(codes)).any()
    assert np.abs(codes).max() > 2


def _opened(name: str):
    container = unpack((GOLDEN / f"{name}.bary").read_bytes())
    return container, read_header(container), _model(name)
