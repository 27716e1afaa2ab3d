import numpy as np
import pytest
import torch

from barycode.images.reconstruction import LARGEST, PictureCodes
from barycode.images.slices import DC_BANDS
from barycode.images.tiling import Tile
from barycode.images.transform import BANDS

AC = [band for band in range(BANDS) if band not in DC_BANDS]


@pytest.mark.parametrize("largest", [0, 1, 127, 128, 129, 255, 256, LARGEST])
@pytest.mark.parametrize("sign", [1, -1])
def test_codes_of_every_size_are_kept(largest, sign):
    codes = PictureCodes(4, 6)
    rng = np.random.default_rng(0)
    parts = [torch.tensor(rng.integers(-3, 4, (BANDS, 4, 3))).float() for _ in range(2)]
    for part in parts:
        part[list(DC_BANDS)] += 900.125
    parts[1][7, 2, 1] = sign * largest
    places = torch.ones(1, 1, 4, 3)
    for left, part in zip((0, 3), parts, strict=True):
        codes.put(Tile(0, 4, left, left + 3), part, places)
    whole = torch.cat(parts, 2).numpy()
    np.testing.assert_array_equal(codes.bands[AC], whole[AC])
    np.testing.assert_array_equal(codes.dc, whole[list(DC_BANDS)])


def test_codes_in_parts_of_a_step_are_kept():
    codes = PictureCodes(1, 1)
    part = torch.full((BANDS, 1, 1), 1 / 16)
    codes.put(Tile(0, 1, 0, 1), part, torch.ones(1, 1, 1, 1))
    assert (codes.bands[AC] == 1 / 16).all()
