"""The lapped transform at which the picture codec starts.

A time-domain pre-filter across every block border followed by the 8-point DCT (Tran, Liang, Tu, "Lapped
transform via time-domain pre- and post-filtering", IEEE TSP 2003): 16 taps, hop 8, biorthogonal, coding
gain 9.55 dB at AR(0.95) where the DCT alone has 8.83. The 16 x 16 basis functions straddle two blocks in
each direction, so on pictures folded into 8 x 8 blocks the transform is an ordinary 2 x 2 convolution, and
so is its inverse.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 8
MARGIN = BLOCK // 2  # samples beyond a block that its basis functions reach
COLOURS = 3
BANDS = COLOURS * BLOCK * BLOCK
SCALING = 8 / 5  # of the pre-filter's first coefficient, the paper's choice for coding gain

_RGB_TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def colour_matrix() -> np.ndarray:
    """(3, 3) matrix from RGB to YCbCr, each row scaled so that squared errors add up to the RGB error."""
    inverse = np.linalg.inv(_RGB_TO_YCBCR)
    return _RGB_TO_YCBCR * np.sqrt((inverse**2).sum(0) / 3)[:, None]


def _dct2(n: int) -> np.ndarray:
    k, x = np.mgrid[:n, :n]
    basis = np.cos(np.pi * (2 * x + 1) * k / (2 * n)) * np.sqrt(2 / n)
    basis[0] /= np.sqrt(2)
    return basis


def _dct4(n: int) -> np.ndarray:
    k, x = np.mgrid[:n, :n]
    return np.cos(np.pi * (2 * x + 1) * (2 * k + 1) / (4 * n)) * np.sqrt(2 / n)


def _prefilter(scaling: float) -> np.ndarray:
    """(8, 8) filter across one block border: it acts on the antisymmetric half only."""
    half = BLOCK // 2
    eye, flip = np.eye(half), np.eye(half)[::-1]
    v = flip @ _dct2(half).T @ np.diag([scaling] + [1.0] * (half - 1)) @ _dct4(half) @ flip
    butterfly = np.block([[eye, flip], [flip, -eye]]) / np.sqrt(2)
    middle = np.block([[eye, np.zeros_like(eye)], [np.zeros_like(eye), v]])
    return butterfly @ middle @ butterfly


def lapped_bases(scaling: float = SCALING) -> tuple[np.ndarray, np.ndarray]:
    """The analysis (8, 16) and the synthesis (16, 8) of one block, over the samples -4 ... 11 around it."""
    half, dct, border = BLOCK // 2, _dct2(BLOCK), _prefilter(scaling)
    pair = np.block([[border, np.zeros_like(border)], [np.zeros_like(border), border]])
    analysis = dct @ pair[half : half + BLOCK]
    synthesis = np.linalg.inv(pair)[:, half : half + BLOCK] @ dct.T
    return analysis, synthesis


def _fold(kernel: np.ndarray) -> np.ndarray:
    """(bands, 3, 16, 16) -> (bands, 3 * 64, 2, 2): the same kernel over pictures folded into blocks."""
    bands = kernel.shape[0]
    blocks = kernel.reshape(bands, COLOURS, 2, BLOCK, 2, BLOCK).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(blocks.reshape(bands, COLOURS * BLOCK * BLOCK, 2, 2))


def mirror_samples(x: Tensor, margin: int = MARGIN) -> Tensor:
    """Extend (..., H, W) by `margin` samples a side, repeating the edge: ... 1 0 | 0 1 2 ... (margin <= H,
    W).
    """
    for axis in (-2, -1):
        size = x.shape[axis]
        head = x.narrow(axis, 0, margin).flip(axis)
        tail = x.narrow(axis, size - margin, margin).flip(axis)
        x = torch.cat([head, x, tail], axis)
    return x


class Analysis(nn.Module):
    """RGB in 0 ... 255 to coefficients (B, 192, h, w), ordered colour, vertical, horizontal frequency.

    The pixels (B, 3, 8 h + 8, 8 w + 8) come with MARGIN more a side than there are blocks: the neighbours
    inside a larger picture, `mirror_samples` at its border.
    """

    def __init__(self) -> None:
        super().__init__()
        basis, _ = lapped_bases()
        kernel = np.einsum("ck,uy,vx->cuvkyx", colour_matrix(), basis, basis).reshape(BANDS, COLOURS, 16, 16)
        self.weight = nn.Parameter(torch.tensor(_fold(kernel), dtype=torch.float32))

    def forward(self, pixels: Tensor) -> Tensor:
        return functional.conv2d(functional.pixel_unshuffle(pixels - 128, BLOCK), self.weight)


class Synthesis(nn.Module):
    """The inverse of `Analysis`: coefficients (B, 192, h, w) to RGB (B, 3, 8 h, 8 w)."""

    signs_y: Tensor
    signs_x: Tensor

    def __init__(self) -> None:
        super().__init__()
        _, basis = lapped_bases()
        inverse_colour = np.linalg.inv(colour_matrix())
        kernel = np.einsum("kc,yu,xv->cuvkyx", inverse_colour, basis, basis).reshape(BANDS, COLOURS, 16, 16)
        # A transposed convolution of the folded kernel: output block (i, j) gathers the four blocks that
        # reach it.
        folded = _fold(kernel)[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        self.weight = nn.Parameter(torch.tensor(folded.copy(), dtype=torch.float32))
        parity = torch.tensor([1.0, -1.0]).repeat(BLOCK // 2)
        self.register_buffer(
            "signs_y", parity.repeat_interleave(BLOCK).repeat(COLOURS)[:, None, None], persistent=False
        )
        self.register_buffer("signs_x", parity.repeat(COLOURS * BLOCK)[:, None, None], persistent=False)

    def forward(self, coefficients: Tensor) -> Tensor:
        pixels = functional.pixel_shuffle(functional.conv2d(self._mirror(coefficients), self.weight), BLOCK)
        half = BLOCK // 2
        return pixels[..., half:-half, half:-half] + 128

    def _mirror(self, c: Tensor) -> Tensor:
        """One block a side: a mirrored block has the same coefficients, the odd frequencies negated."""
        c = torch.cat([c[..., :1, :] * self.signs_y, c, c[..., -1:, :] * self.signs_y], -2)
        return torch.cat([c[..., :1] * self.signs_x, c, c[..., -1:] * self.signs_x], -1)
