import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim

from barycode.images.curvature import structural_error, structural_weights
from barycode.images.registry import find_model
from barycode.images.tile import Setting, encode_tile
from barycode.images.tiling import code_tiles
from barycode.images.windows import window_of
from scenes import scene


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("blur", [False, True])
def test_small_errors_cost_what_ms_ssim_says(seed, blur):
    """Against the measure itself, whose windows stay inside the picture and ours repeat its edges."""
    planes = torch.from_numpy(scene(352, 384, seed)).permute(2, 0, 1)[None].double()
    errors = torch.randn(planes.shape, generator=torch.Generator().manual_seed(seed)).double()
    if blur:  # errors that the coarse scales see
        errors = 4 * torch.nn.functional.avg_pool2d(errors, 9, 1, 4)
    expected = 1 - ms_ssim(planes, planes + errors / 4, data_range=255)
    assert structural_error(errors / 4, planes).item() == pytest.approx(expected.item(), rel=0.06)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 90)])
def test_errors_cost_quadratically_and_none_nothing(size):
    planes = torch.from_numpy(scene(*size)).permute(2, 0, 1)[None].double()
    errors = torch.randn(planes.shape, generator=torch.Generator().manual_seed(0)).double()
    assert structural_error(errors * 0, planes) == 0
    once, twice = structural_error(errors, planes), structural_error(2 * errors, planes)
    assert twice.item() == pytest.approx(4 * once.item())
    assert once > 0


def _weights(colour: np.ndarray, grey: bool = False, free: np.ndarray | None = None) -> torch.Tensor:
    model = find_model("photo-msssim")
    setting = Setting(12, grey)
    window = window_of(model.analysis, colour, code_tiles(*colour.shape[:2])[0], free)
    codes = encode_tile(model, window.coefficients, setting, 0.1).codes
    return structural_weights(model, window, codes, setting, 2)


@pytest.mark.parametrize("grey", [False, True])
def test_errors_count_more_where_little_hides_them(grey):
    colour = np.full((160, 320, 3), 100, np.uint8)
    colour[:, 160:] += np.random.default_rng(0).integers(0, 100, (160, 160, 1), np.uint8)
    weights = _weights(colour, grey)
    assert weights.shape == (1, 192, 20, 40)
    luma = weights[0, :64]
    assert luma[:, :, 2:14].mean() > 1.5 * luma[:, :, 26:38].mean()  # though steps are longer there already
    assert luma[:8].mean() > 3 * luma[-8:].mean()  # coarse scales see low frequencies alone
    assert torch.equal(weights, _weights(colour, grey))  # the same file each time


def test_errors_below_a_drawing_cost_nothing():
    colour = np.full((160, 320, 3), 100, np.uint8)
    free = np.zeros((160, 320), bool)
    free[:, :160] = True
    weights = _weights(colour, free=free)[0]
    assert weights[:, :, :12].max() == pytest.approx(0.1)  # the least that a weight may be
    assert weights[:, :, 28:].mean() > 1


def test_weights_decide_between_error_and_bits():
    model = find_model("photo")
    coefficients = torch.randn(192, 3, 4, generator=torch.Generator().manual_seed(0)) * 60
    plain = encode_tile(model, coefficients, Setting(0), 0.1)
    same = encode_tile(model, coefficients, Setting(0), 0.1, weights=torch.ones(1, 192, 3, 4))
    assert plain.payload == same.payload
    exact = encode_tile(model, coefficients, Setting(0), 0.1, weights=torch.full((1, 192, 3, 4), 1e6))
    rough = encode_tile(model, coefficients, Setting(0), 0.1, weights=torch.zeros(1, 192, 3, 4))

    def miss(codes: torch.Tensor) -> float:
        return float(((codes - coefficients / Setting(0).step()) ** 2).mean())

    assert miss(exact.codes) < miss(plain.codes) < miss(rough.codes)
    assert len(rough.payload) < len(plain.payload)
