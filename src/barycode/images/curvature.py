"""How much structural similarity each code is worth, for models that were trained for it.

To second order in the error e of a picture x, 1 - MS-SSIM (Wang, Simoncelli, Bovik, "Multi-scale structural
similarity", 2003) is a quadratic form: with variances and means under a Gaussian window, averaged over the
windows of scale j,

    sum_j beta_j mean[var(e_j) / (2 var(x_j) + C2)] + beta_M mean[mean(e_M)^2 / (2 mean(x_M)^2 + C1)].

The diagonal of its Hessian in the codes says what a squared error of each code costs. The decoder is a
network, so the diagonal is estimated: for random signs z it is the mean of z * (H z) (Bekas, Kokiopoulou,
Saad, "An estimator for the diagonal of a matrix", 2007), smoothed over neighbouring blocks.
"""

import torch
from torch import Tensor
from torch.nn import functional

from barycode.images.model import ImageModel
from barycode.images.tile import Setting
from barycode.images.windows import Window

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
TAPS, SIGMA = 11, 1.5  # of the Gaussian window
NEIGHBOURS = 9  # blocks a side that an estimate is smoothed over
LIMITS = (0.1, 5.0)  # of a weight: what is estimated as worth nothing may be seen all the same


def structural_weights(
    model: ImageModel, window: Window, codes: Tensor, setting: Setting, probes: int
) -> Tensor:
    """The weights (1, 192, h, w), one in the mean, of squared errors in steps of the codes (192, h, w)."""
    step = setting.step()
    places = model.config.policy.measure(codes[None].clone(), step)
    steps = model.steps_of(step, places)
    seen = slice(1, 2) if setting.grey else slice(None)
    planes, counted = window.inside(window.pixels.clone())[:, seen], window.counted.clone()
    random = torch.Generator().manual_seed(0)

    def decoded(given: Tensor) -> Tensor:
        return window.inside(model.decode(given, steps, step) * counted)[:, seen]

    total = torch.zeros_like(codes[None])
    with torch.inference_mode(False), torch.enable_grad():
        still = decoded(codes[None].clone()).detach()
        for _ in range(probes):
            signs = torch.randint(0, 2, total.shape, generator=random) * 2.0 - 1
            moved = (codes[None] + signs).requires_grad_()
            (product,) = torch.autograd.grad(structural_error(decoded(moved) - still, planes), moved)
            total += signs * product
    smooth = functional.avg_pool2d(
        functional.pad(total, (NEIGHBOURS // 2,) * 4, mode="replicate"), NEIGHBOURS, 1
    ).clamp(min=0)
    return (smooth / smooth.mean().clamp(min=1e-12)).clamp(*LIMITS)


def structural_error(errors: Tensor, planes: Tensor) -> Tensor:
    """1 - MS-SSIM to second order in the errors (B, C, H, W) of planes (B, C, H, W) of 0 ... 255."""
    total = errors.new_zeros(())
    for scale, beta in enumerate(BETAS):
        if scale:
            errors, planes = _halved(errors), _halved(planes)
        mean, shift = _blurred(planes), _blurred(errors)
        variance = (_blurred(planes**2) - mean**2).clamp(min=0)
        total = total + beta * ((_blurred(errors**2) - shift**2) / (2 * variance + C2)).mean()
    return total + BETAS[-1] * (shift**2 / (2 * mean**2 + C1)).mean()


def _halved(planes: Tensor) -> Tensor:
    return functional.avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)


def _blurred(planes: Tensor) -> Tensor:
    """Under a Gaussian window, edges repeated."""
    places = torch.arange(TAPS, dtype=planes.dtype) - TAPS // 2
    taps = torch.exp(-(places**2) / (2 * SIGMA**2))
    taps = (taps / taps.sum()).expand(planes.shape[1], 1, 1, -1)
    padded = functional.pad(planes, (TAPS // 2,) * 4, mode="replicate")
    across = functional.conv2d(padded, taps, groups=planes.shape[1])
    return functional.conv2d(across, taps.mT, groups=planes.shape[1])
