import dataclasses
import json

import pytest

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.evaluation import metrics
from barycode.evaluation.anchors import JPEG
from barycode.evaluation.rate_distortion import (
    Codec,
    Row,
    by_picture,
    load_rows,
    measure,
    measure_into,
    of_codec,
    pictures_of,
    rate_distortion,
    save_rows,
)
from barycode.training.datasets import picture_array


@pytest.fixture
def counting() -> tuple[Codec, list]:
    calls = []

    def encode(image, setting):
        calls.append(setting)
        return JPEG.encode(image, setting)

    return dataclasses.replace(JPEG, settings=(10, 60), encode=encode), calls


def test_a_row_is_what_the_file_alone_gives(picture):
    row = measure(JPEG, picture, 50)
    data = JPEG.encode(picture.image, 50)
    decoded = JPEG.decode(data)
    assert row.size == len(data)
    assert row.bpp == 8 * len(data) / (192 * 176)
    assert row.psnr == pytest.approx(metrics.psnr(picture.image, decoded), abs=1e-5)
    assert row.ms_ssim == pytest.approx(metrics.ms_ssim(picture.image, decoded), abs=1e-6)
    assert row.ms_ssim_db == pytest.approx(metrics.ms_ssim_db(row.ms_ssim))
    assert row.encode_seconds >= 0
    assert row.decode_seconds >= 0


def test_a_small_picture_has_psnr_and_no_ms_ssim(small_picture):
    row = measure(JPEG, small_picture, 50)
    assert row.psnr > 20
    assert row.ms_ssim is None
    assert row.ms_ssim_db is None


def test_known_rows_are_not_measured_again(counting, small_picture):
    codec, calls = counting
    first = list(rate_distortion(codec, [small_picture], settings=[10]))
    both = list(rate_distortion(codec, [small_picture], known=first))
    assert calls == [10, 60]
    assert both[0] == first[0]
    assert [row.setting for row in both] == [10, 60]


def test_rows_of_another_codec_are_not_known(counting, small_picture):
    codec, calls = counting
    other = dataclasses.replace(measure(JPEG, small_picture, 10), codec="another")
    list(rate_distortion(codec, [small_picture], settings=[10], known=[other]))
    assert calls == [10]


def test_measuring_into_a_file_resumes(counting, picture, small_picture, tmp_path):
    codec, calls = counting
    path, ticks = tmp_path / "rows" / "jpeg.json", []
    first = measure_into(path, codec, [small_picture])
    both = measure_into(path, codec, [picture, small_picture], lambda: ticks.append(1))
    assert calls == [10, 60, 10, 60]
    assert len(ticks) == 2
    assert both[2:] == first
    assert set(load_rows(path)) == set(both)
    assert measure_into(path, codec, [picture]) == both[:2]
    assert len(calls) == 4


def test_rows_survive_the_file(tmp_path):
    rows = [
        Row("a", "p", 1.5, 100, 800, 2.5, 0.99, 0.1, 0.2),
        Row("a", "q", 3, 200, 800, 0.0, None, 0.1, 0.2),
    ]
    save_rows(tmp_path / "rows.json", rows)
    assert load_rows(tmp_path / "rows.json") == rows
    assert json.loads((tmp_path / "rows.json").read_text())["columns"][0] == "codec"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]
    assert load_rows(tmp_path / "nothing.json") == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"columns": ["codec"], "rows": [["x"]]}', '{"columns": [], "rows": [[1]]}']
)
def test_a_damaged_file_of_rows_is_named(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(CorruptFileError, match=r"rows\.json does not hold"):
        load_rows(tmp_path / "rows.json")


def test_grouping(picture):
    rows = [Row(codec, p, 1, 1, 8, 1.0, None, 0, 0) for codec in ("a", "b") for p in ("x", "y")]
    assert {name: len(group) for name, group in by_picture(rows).items()} == {"x": 2, "y": 2}
    assert of_codec(rows, "b") == rows[2:]
    with pytest.raises(InvalidInputError, match="no rows of the codec 'c'; the rows are of: a, b"):
        of_codec(rows, "c")


def test_pictures_of_a_data_set(rng_images):
    pictures = pictures_of(picture_array(rng_images))
    assert [p.name for p in pictures] == ["0", "1", "2"]
    assert pictures[2].image.size == (9, 7)


@pytest.fixture
def rng_images():
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (3, 7, 9, 3), dtype=np.uint8)
