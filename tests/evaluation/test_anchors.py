import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation import metrics
from barycode.evaluation.anchors import (
    ANCHORS,
    AVIF,
    AVIF_444,
    AVIF_444_PSNR,
    AVIF_PSNR,
    HEIC,
    HEIC_444,
    JPEG,
    JPEG2000,
    anchor,
    anchors_of,
    jpeg_at_bytes,
)
from barycode.evaluation.bd_rate import bd_rate
from barycode.evaluation.rate_distortion import Picture, rate_distortion

SIGNATURES = {
    "JPEG": (0, b"\xff\xd8\xff"),
    "JPEG 2000": (4, b"jP  "),
    "WebP": (8, b"WEBP"),
    "AVIF": (4, b"ftypavif"),
    "HEIC": (4, b"ftyphei"),
    "JPEG XL": (0, b"\xff\x0a"),
}


@pytest.mark.parametrize("name", ANCHORS)
def test_anchors_write_real_files_that_decode_to_the_same_size(name, picture):
    codec = ANCHORS[name]
    data = codec.encode(picture.image, codec.settings[-2])
    offset, signature = SIGNATURES.get(name) or SIGNATURES[name.split()[0]]
    assert data[offset:].startswith(signature)
    decoded = codec.decode(data)
    assert (decoded.size, decoded.mode) == (picture.image.size, "RGB")


@pytest.mark.parametrize("name", ANCHORS)
def test_settings_rise_in_rate(name, picture):
    codec = ANCHORS[name]
    sizes = [len(codec.encode(picture.image, setting)) for setting in codec.settings[::3]]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_jpeg_is_4_2_0_with_optimised_tables(picture):
    data = JPEG.encode(picture.image, 50)
    with Image.open(io.BytesIO(data)) as image:
        assert image.layer[0][1:3] == (2, 2), "luma is sampled twice as densely as chroma"
    plain = io.BytesIO()
    picture.image.save(plain, "JPEG", quality=50, subsampling="4:2:0")
    assert len(data) < plain.tell()


def test_jpeg2000_keeps_the_rate_it_is_given():
    noise = Image.effect_noise((256, 256), 60).convert("RGB")
    assert len(JPEG2000.encode(noise, 1.0)) == pytest.approx(256 * 256 / 8, rel=0.05)


def test_metadata_weighs_on_nobody(picture):
    heavy = picture.image.copy()
    heavy.info["icc_profile"] = bytes(3000)
    heavy.info["comment"] = bytes(3000)
    assert JPEG.encode(heavy, 50) == JPEG.encode(picture.image, 50)


def test_anchor_by_any_spelling():
    assert anchor("jpeg2000") is anchor("JPEG 2000") is JPEG2000
    with pytest.raises(InvalidInputError, match="no anchor 'gif'; choose from JPEG, JPEG 2000"):
        anchor("gif")


def test_jpeg_at_bytes_is_the_smallest_that_is_large_enough(picture):
    wanted = len(JPEG.encode(picture.image, 40)) - 1
    assert len(JPEG.encode(picture.image, 39)) < wanted <= len(jpeg_at_bytes(picture.image, wanted))
    assert jpeg_at_bytes(picture.image, wanted) == JPEG.encode(picture.image, 40)


def test_jpeg_at_bytes_stays_in_range(picture):
    assert jpeg_at_bytes(picture.image, 1) == JPEG.encode(picture.image, 1)
    assert jpeg_at_bytes(picture.image, 10**9) == JPEG.encode(picture.image, 100)


def test_families_and_single_names():
    assert anchors_of("heic,avif") == [HEIC, HEIC_444, AVIF, AVIF_444, AVIF_PSNR, AVIF_444_PSNR]
    assert anchors_of("avif-444-psnr, jpeg") == [AVIF_444_PSNR, JPEG]
    assert anchors_of("heic-444,heic") == [HEIC_444, HEIC], "each once"
    assert anchors_of("all") == list(ANCHORS.values())
    for names in ("", "bpg", "jpeg,bpg"):
        with pytest.raises(InvalidInputError, match="choose from jpeg, jpeg2000"):
            anchors_of(names)


def test_full_chroma_keeps_fine_colour(picture):
    red_and_blue = np.zeros((64, 64, 3), np.uint8)
    red_and_blue[:, ::2, 0] = red_and_blue[:, 1::2, 2] = 200
    stripes = Image.fromarray(red_and_blue)
    for full, half in ((HEIC_444, HEIC), (AVIF_444, AVIF), (AVIF_444_PSNR, AVIF_PSNR)):
        errors = [metrics.mse(stripes, codec.decode(codec.encode(stripes, 60))) for codec in (full, half)]
        assert errors[0] < errors[1] / 4


@pytest.mark.parametrize(("tuned", "plain"), [(AVIF_PSNR, AVIF), (AVIF_444_PSNR, AVIF_444)])
def test_tuning_for_psnr_pays_in_psnr(tuned, plain):
    with Image.open(Path(__file__).parents[2] / "examples/photos/kodim15.png") as photo:
        crop = photo.convert("RGB").crop((300, 60, 492, 236))
    pictures = [Picture("crop", crop)]
    rows = [list(rate_distortion(codec, pictures)) for codec in (plain, tuned)]
    assert bd_rate(*rows).mean < -2


def test_every_anchor_says_its_settings():
    for codec in ANCHORS.values():
        assert "setting = " in codec.description
    assert "4:4:4, tuned for PSNR, speed 6" in AVIF_444_PSNR.description
