import pytest
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.evaluation.side_by_side import FONT_SIZE, MARGIN, Crop, Panel, side_by_side


def test_a_crop_is_enlarged_without_smoothing():
    image = Image.new("RGB", (4, 4))
    image.putpixel((2, 1), (255, 0, 0))
    crop = Crop(left=2, top=1, width=2, height=1, zoom=3).of(image)
    assert crop.size == (6, 3)
    assert {crop.getpixel((x, y)) for x in range(3) for y in range(3)} == {(255, 0, 0)}
    assert crop.getpixel((3, 0)) == (0, 0, 0)


def test_a_crop_outside_is_an_error():
    with pytest.raises(InvalidInputError, match="inside a picture of 4x4"):
        Crop(left=3, top=0, width=2, height=1).of(Image.new("RGB", (4, 4)))


def test_side_by_side_places_panels_in_a_grid():
    red, blue = (Panel(Image.new("RGB", (20, 10), colour), colour) for colour in ("red", "blue"))
    sheet = side_by_side([[red, blue], [blue]])
    assert sheet.size == (2 * (20 + MARGIN) + MARGIN, 2 * (10 + FONT_SIZE + 2 * MARGIN) + MARGIN)
    assert sheet.getpixel((MARGIN, MARGIN)) == (255, 0, 0)
    assert sheet.getpixel((2 * MARGIN + 20, MARGIN)) == (0, 0, 255)
    with pytest.raises(InvalidInputError, match="at least one panel"):
        side_by_side([[red], []])
