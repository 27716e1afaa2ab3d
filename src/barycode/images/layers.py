"""A picture in two layers: a drawing over what the transform codes, where that is cheaper than either alone.

Costs are squared error in steps + rate_weight * bits, as everywhere in the encoder. What the transform makes
of the whole picture comes first; it says which pixels would be cheaper drawn. The transform is then free to
put anything below those: they are continued smoothly from their neighbours, and do not count as errors.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from barycode.container import Section
from barycode.images.drawing import Drawing, drawings, is_drawing, may_be_drawn
from barycode.images.model import ImageModel
from barycode.images.reconstruction import PictureCodes, reconstruct
from barycode.images.refinement import RefinedTile, refine_tile
from barycode.images.tile import Setting
from barycode.images.tiling import Tile, blocks, code_tiles
from barycode.images.transform import BLOCK
from barycode.images.windows import Window, window_of
from barycode.progress import watched

POINT_BITS = 14  # that a lone pixel of a small palette costs, about
REPEATED_BITS = 0.15  # of a pixel that equals one beside it, where one that does not costs 1
WORTH = 0.02  # of the cost of the transform alone, that a drawing must promise before it is tried


@dataclass(frozen=True)
class Layers:
    """The payloads of the tiles, and what is drawn over them."""

    payloads: list[bytes]
    drawing: Drawing | None = None

    def size(self) -> int:
        return sum(len(section.payload) for section in self.sections())

    def sections(self) -> list[Section]:
        drawn = [] if self.drawing is None else [Section("FLAT", self.drawing.data)]
        return [*(Section("TILE", payload) for payload in self.payloads), *drawn]


@dataclass(frozen=True)
class _Costs:
    """What pixels in place of `colour` uint8 (H, W, 3) cost: squared errors of the mean channel in the steps
    (h, w) of their blocks, and `rate_weight` for each bit.
    """

    colour: np.ndarray
    steps: np.ndarray
    rate_weight: float

    def errors(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W); row by row, since pictures are large."""
        errors = np.empty(pixels.shape[:2], np.float32)
        weights = np.repeat(1 / (3 * self.steps**2), BLOCK, 1)[:, : pixels.shape[1]]
        for row, (seen, meant) in enumerate(zip(pixels, self.colour, strict=True)):
            difference = seen.astype(np.float32) - meant
            errors[row] = (difference * difference).sum(1) * weights[row // BLOCK]
        return errors

    def of_bytes(self, size: int) -> float:
        return self.rate_weight * 8 * size

    def of(self, errors: np.ndarray, size: int) -> float:
        return float(errors.sum(dtype=np.float64)) + self.of_bytes(size)

    def tried(self, layers: Layers, errors: np.ndarray) -> "_Tried":
        return _Tried(layers, errors, self.of(errors, layers.size()))


class _Seen:
    """What the encoder knows of the transform of a picture (H, W): its codes and, where the refinement looked
    at the pixels, their errors (H, W), zero at the seams of tiles.
    """

    def __init__(self, model: ImageModel, setting: Setting, size: tuple[int, ...]) -> None:
        self.codes = PictureCodes(*map(blocks, size))
        self.errors: np.ndarray | None = None
        self._policy, self._step, self._size = model.config.policy, setting.step(), size

    def put(self, tile: Tile, window: Window, refined: RefinedTile) -> None:
        codes = refined.encoded.codes
        self.codes.put(tile, codes, self._policy.measure(codes[None], self._step))
        if refined.errors is None:
            return
        if self.errors is None:
            self.errors = np.zeros(self._size, np.float32)
        window.inside(self.errors[tile.top * BLOCK :, tile.left * BLOCK :])[:] = refined.errors.numpy()


@dataclass(frozen=True)
class _Tried:
    """Layers, the errors (H, W) of what they decode to, and their cost."""

    layers: Layers
    errors: np.ndarray
    cost: float


@dataclass(frozen=True)
class LayerEncoder:
    """Pixels uint8 (H, W, 3) at one setting; `rate_weight` is what a bit is worth, `rounds` of refinement."""

    model: ImageModel
    colour: np.ndarray
    setting: Setting
    rate_weight: float
    rounds: int

    def cheapest(self) -> Layers:
        """The transform alone, a drawing alone, or both."""
        drawn = may_be_drawn(self.colour) and is_drawing(self.colour)
        if not drawn and not (self.rounds and may_be_drawn(self.colour)):
            return Layers(self._transform(self.colour))
        seen = _Seen(self.model, self.setting, self.colour.shape[:2])
        plain, codes = Layers(self._transform(self.colour, seen)), seen.codes
        costs = _Costs(self.colour, self.setting.step().item() * codes.places.copy(), self.rate_weight)
        if not drawn and seen.errors is not None and not _points(costs, costs.tried(plain, seen.errors)):
            return plain  # without decoding it once more
        tried = [self._tried(costs, plain, codes)]
        if drawn:
            whole = np.ones(self.colour.shape[:2], bool)
            tried += [self._tried(costs, Layers([], drawing)) for drawing in drawings(self.colour, whole)]
        foreground = _blocks(costs, tried[0], codes) if drawn else _points(costs, tried[0])
        if foreground is not None:
            smooth = continued(self.colour, foreground.drawn)
            both = Layers(self._transform(smooth, seen, foreground.drawn), foreground)
            tried.append(self._tried(costs, both, codes))
        return min(tried, key=lambda each: each.cost).layers

    def _transform(
        self, colour: np.ndarray, seen: "_Seen | None" = None, free: np.ndarray | None = None
    ) -> list[bytes]:
        """The payloads of all tiles, of pixels some of which are `free`; `seen` is told of them."""
        payloads = []
        for tile in watched("codes", code_tiles(*colour.shape[:2])):
            window = window_of(self.model.analysis, colour, tile, free)
            refined = refine_tile(self.model, window, self.setting, self.rate_weight, self.rounds)
            payloads.append(refined.encoded.payload)
            if seen is not None:
                seen.put(tile, window, refined)
        return payloads

    def _tried(self, costs: _Costs, layers: Layers, codes: PictureCodes | None = None) -> _Tried:
        pixels = self.colour
        if codes is not None:
            pixels = reconstruct(self.model, codes, self.setting, pixels.shape[:2])
        if layers.drawing is not None:
            pixels = layers.drawing.over(pixels)
        return costs.tried(layers, costs.errors(pixels))


def _points(costs: _Costs, plain: _Tried) -> Drawing | None:
    """Lone pixels that the transform misses by more than it costs to draw them."""
    return _promising(costs, plain, plain.errors, plain.errors > costs.rate_weight * POINT_BITS)


def _blocks(costs: _Costs, plain: _Tried, codes: PictureCodes) -> Drawing | None:
    """Blocks of text and lines: what a drawing of all of them costs, shared out by pixels unlike those beside
    them, against their errors and what their codes cost.
    """
    colour, size = costs.colour, costs.colour.shape[:2]
    whole = Drawing(colour, np.ones(size, bool))
    alike = np.zeros(size, bool)
    alike[:, 1:] |= (colour[:, 1:] == colour[:, :-1]).all(2)
    alike[1:] |= (colour[1:] == colour[:-1]).all(2)
    drawing = _by_block(np.where(alike, REPEATED_BITS, 1.0))
    drawing *= costs.of_bytes(len(whole.data)) / drawing.sum()
    coding = sum(np.log2(1 + np.abs(part.astype(np.float32))).sum(0) for part in (codes.dc, codes.bands))
    coding *= costs.of_bytes(plain.layers.size()) / max(coding.sum(), 1)
    transform = _by_block(plain.errors) + coding
    return _promising(costs, plain, _spread(transform / BLOCK**2, size), _spread(drawing < transform, size))


def _promising(costs: _Costs, plain: _Tried, saved: np.ndarray, drawn: np.ndarray) -> Drawing | None:
    """The cheapest drawing of those pixels, if it promises enough of what they cost today (H, W)."""
    found = [
        (costs.of(costs.errors(drawing.over(costs.colour)), len(drawing.data)), drawing)
        for drawing in drawings(costs.colour, drawn)
        if not drawing.is_whole
    ]
    if not found:
        return None
    cost, drawing = min(found, key=lambda pair: pair[0])
    return drawing if saved[drawn].sum(dtype=np.float64) - cost > WORTH * plain.cost else None


def continued(colour: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pixels uint8 (H, W, 3) whose `drawn` ones are smooth continuations of the others, by averages over
    ever larger squares (push and pull; Gortler et al., "The Lumigraph", 1996).
    """
    values = torch.from_numpy(colour.astype(np.float32)).permute(2, 0, 1)[None]
    weights = torch.from_numpy(~drawn)[None, None].float()
    return _pulled(values, weights)[0].round().clamp(0, 255).permute(1, 2, 0).to(torch.uint8).numpy()


def _pulled(values: Tensor, weights: Tensor) -> Tensor:
    size = values.shape[2:]
    if bool(weights.all()) or max(size) == 1:
        return values
    share = functional.avg_pool2d(weights, 2, ceil_mode=True, count_include_pad=False)
    mean = functional.avg_pool2d(values * weights, 2, ceil_mode=True, count_include_pad=False)
    coarse = _pulled(mean / share.clamp(min=1e-6), (4 * share).clamp(max=1))
    below = functional.interpolate(coarse, size=tuple(size), mode="bilinear", align_corners=False)
    return torch.lerp(below, values, weights)


def _by_block(values: np.ndarray) -> np.ndarray:
    """Sums (h, w) over the blocks of (H, W)."""
    height, width = blocks(values.shape[0]), blocks(values.shape[1])
    padded = np.pad(values, ((0, height * BLOCK - values.shape[0]), (0, width * BLOCK - values.shape[1])))
    return padded.reshape(height, BLOCK, width, BLOCK).sum((1, 3))


def _spread(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The values (h, w) of blocks at each of their pixels, (H, W)."""
    return np.repeat(np.repeat(values, BLOCK, 0), BLOCK, 1)[: size[0], : size[1]]
