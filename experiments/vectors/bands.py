"""What is quantized: the codec's own coefficients as vectors, and what its contexts say of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from barycode.images import lattice
from barycode.images.model import ImageModel
from barycode.images.prediction import CLASSES as SCALES
from barycode.images.prediction import CLASSES_AN_OCTAVE
from barycode.images.slices import DC_BANDS, LUMA, SLICES
from barycode.images.steps import octave_of, step_of
from barycode.images.tile import Setting, decode_tile, encode_tile
from barycode.images.tiling import Tile, blocks, sample_tile
from barycode.images.transform import BLOCK

Shape = tuple[int, int]
CLASSES = SCALES * 2 // CLASSES_AN_OCTAVE  # two an octave, for each of the two passes
UNIT = 16
MAGNITUDES = np.rint(UNIT * 2 ** (np.arange(SCALES) / CLASSES_AN_OCTAVE)).astype(np.int64)
THRESHOLDS = np.rint(UNIT * 2 ** (np.arange(1, CLASSES) / 2)).astype(np.int64)


@dataclass(frozen=True)
class Scene:
    """A picture at one step: coefficients in steps (192, h, w), the shipped encoder's codes of them, and
    its step index; h and w even.
    """

    ratios: Tensor
    codes: Tensor
    index: int


@dataclass(frozen=True)
class Material:
    """The vectors (n, d) of one group of bands and the context row (n,) of each."""

    vectors: Tensor
    rows: Tensor


def group_name(group: int) -> str:
    """How tables call the slice: its colour and the sums of its frequencies."""
    sums = [band % BLOCK + band // BLOCK % BLOCK for band in SLICES[group].bands]
    colour = "luma" if group < len(LUMA) else "chroma"
    return f"{colour} {min(sums)}" + (f"-{max(sums)}" if max(sums) > min(sums) else "")


@torch.inference_mode()
def open_scene(model: ImageModel, image: Image.Image, index: int) -> Scene:
    """Analyse a picture and choose its scalar codes; an odd last row or column of blocks is left out."""
    pixels = np.asarray(image.convert("RGB"))
    height, width = (blocks(size) // 2 * 2 for size in pixels.shape[:2])
    coefficients = model.analysis(sample_tile(pixels, Tile(0, height, 0, width)))[0]
    setting = Setting(index)
    data = encode_tile(model, coefficients, setting, model.config.rate_weight).payload
    return Scene(coefficients / step_of(index), decode_tile(model, data, (height, width), setting), index)


def patches(planes: Tensor, shape: Shape) -> Tensor:
    """(bands, h, w) -> (n, d): the spatial patches of every band, band by band, row by row."""
    bands, height, width = planes.shape
    rows, columns = height // shape[0], width // shape[1]
    split = planes.reshape(bands, rows, shape[0], columns, shape[1])
    return split.permute(0, 1, 3, 2, 4).reshape(-1, shape[0] * shape[1])


def unpatch(vectors: Tensor, size: Shape, shape: Shape) -> Tensor:
    """The inverse of `patches` for planes of `size` (h, w)."""
    rows, columns = size[0] // shape[0], size[1] // shape[1]
    split = vectors.reshape(-1, rows, columns, *shape)
    return split.permute(0, 1, 3, 2, 4).reshape(-1, *size)


def first_pass(size: Shape, shape: Shape) -> Tensor:
    """(h, w) bool: the checkerboard of whole patches, so that no member of a vector sees another."""
    y, x = torch.arange(size[0])[:, None] // shape[0], torch.arange(size[1]) // shape[1]
    return (y + x) % 2 == 0


@torch.inference_mode()
def materials(model: ImageModel, scene: Scene, shape: Shape) -> list[Material]:
    """The material of every slice, with contexts read off the codec's own running state."""
    size = cast(Shape, tuple(scene.codes.shape[1:]))
    octave = torch.tensor([float(octave_of(scene.index))])
    state = model.contexts.ac.begin(scene.codes[list(DC_BANDS)][None] * lattice.UNIT, octave)
    first = first_pass(size, shape)
    found = []
    for index, known in enumerate(SLICES):
        codes = scene.codes[list(known.bands)].permute(1, 2, 0)[None]
        scale = _scale(model, index, 0, state, octave)
        late = torch.zeros_like(first)
        if known.passes == 2:
            seen = model.contexts.ac.absorb(index, state, codes * first[..., None])
            scale = torch.where(first, scale, _scale(model, index, 1, seen, octave))
            late = ~first
        state = model.contexts.ac.absorb(index, state, codes)
        rows = context_rows(patches(scale, shape), patches(late.expand_as(scale), shape)[:, 0])
        found.append(Material(patches(scene.ratios[list(known.bands)], shape), rows))
    return found


def context_rows(scale: Tensor, late: Tensor) -> Tensor:
    """Rows (n,) from the members' scale classes (n, d), integers in 0 ... 55, and the pass (n,) of each
    vector.

    The integer sum of the magnitudes that the classes stand for, cut twice an octave.
    """
    totals = torch.from_numpy(MAGNITUDES)[scale.long()].sum(1)
    return torch.bucketize(totals, torch.from_numpy(THRESHOLDS) * scale.shape[1], right=True) + CLASSES * late


def join(parts: Sequence[Material]) -> Material:
    """The same group of several pictures, one after the other."""
    return Material(torch.cat([p.vectors for p in parts]), torch.cat([p.rows for p in parts]))


def _scale(model: ImageModel, index: int, part: int, state: Tensor, octave: Tensor) -> Tensor:
    height, width = state.shape[1:3]
    scale = model.contexts.ac.predict(index, part, state.flatten(1, 2), octave).scale[0]
    return scale.floor().clamp(0, SCALES - 1).T.unflatten(1, (height, width))
