"""Pictures to `.bary` bytes and back.

Sections: HEAD (mode, width, height, step index, model), one TILE per 1024 x 1024 pixels, FLAT (what is drawn
over them, or instead of them), and where there is something to keep: ALPH (a PNG) and what describes the
picture (`metadata`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from PIL import Image

from barycode.container import ByteReader, ByteWriter, Container, Section, pack, require_within, unpack
from barycode.container.bounds import MAX_PIXELS
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError
from barycode.images import metadata
from barycode.images.drawing import unpack_drawing
from barycode.images.layers import LayerEncoder
from barycode.images.model import FINGERPRINT_BYTES, ImageModel
from barycode.images.picture import MODES, Picture, pack_alpha, read_picture, unpack_alpha
from barycode.images.quality import DEFAULT_QUALITY, step_index
from barycode.images.reconstruction import PictureCodes, reconstruct
from barycode.images.refinement import DEFAULT_EFFORT, rounds_of
from barycode.images.registry import DEFAULT, find_model, model_of
from barycode.images.steps import INDEX_RANGE, check_index
from barycode.images.targets import Target, meet
from barycode.images.tile import Setting, decode_tile, least_size
from barycode.images.tiling import Tile, blocks, code_tiles
from barycode.memory import give_back
from barycode.plain_torch import plain_torch
from barycode.progress import watched
from barycode.rate import require_least

KIND = "imag"
LAYOUT = f"HEAD TILE* FLAT? ALPH? {metadata.LAYOUT}"


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first code."""

    mode: str
    width: int
    height: int
    index: int
    fingerprint: bytes

    def to_bytes(self) -> bytes:
        writer = ByteWriter()
        writer.u8(MODES.index(self.mode))
        writer.varint(self.width)
        writer.varint(self.height)
        writer.u8(self.index - INDEX_RANGE[0])
        writer.raw(self.fingerprint)
        return writer.finish()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Header":
        reader = ByteReader(data)
        mode, width, height = reader.u8(), reader.varint(), reader.varint()
        index, fingerprint = reader.u8() + INDEX_RANGE[0], reader.raw(FINGERPRINT_BYTES)
        reader.finish()
        if mode >= len(MODES) or not 0 < width * height <= MAX_PIXELS or index > INDEX_RANGE[1]:
            raise CorruptFileError(
                f"The header asks for a picture of {width} x {height} pixels, mode {mode}: not a valid file."
            )
        return cls(MODES[mode], width, height, index, fingerprint)

    @property
    def setting(self) -> Setting:
        return Setting(self.index, grey=self.mode.startswith("L"))

    def tiles(self) -> list[Tile]:
        return code_tiles(self.height, self.width)


@plain_torch()
def compress(
    image: Image.Image | np.ndarray,
    *,
    quality: float | Target = DEFAULT_QUALITY,
    effort: int = DEFAULT_EFFORT,
    model: str | Path | ImageModel = DEFAULT,
    **explicit: Unpack[metadata.Explicit],
) -> bytes:
    """Compress a PIL image, or a uint8 array (H, W) or (H, W, 1 to 4), to the bytes of a `.bary` file.

    Quality runs from 1 (about 0.1 bits per pixel) over 5 (about 1) to 8 (about 3, visually lossless),
    fractions included; or it is a target: `Size(bytes)`, `BitsPerPixel(bits)`, `Psnr(decibels)`,
    `Likeness(value, metric)`. Effort runs from 0 (one pass) to 9 (smallest files, many times as long);
    decoding takes the same time for all. `model` is the name of a shipped model ("photo": least squared
    error; "photo-msssim": best to the eye's measure) or a model file. EXIF, colour profile, XMP, resolution
    and text travel with the picture; `exif`, `icc_profile`, `xmp` and `dpi` replace what it carries (empty
    bytes remove it), and `strip=True` leaves out all that it does not need to look the same. Several frames
    and more than 8 bits are refused unless `flatten=True`, which takes the first frame in 8 bits. Raises
    InvalidInputError.
    """
    chosen = find_model(model)
    picture = read_picture(image, **explicit)

    def encode(index: int, effort: int = effort) -> bytes:
        return compress_at(picture, index, chosen, effort=effort)

    def decode(data: bytes) -> np.ndarray:
        return read_picture(decompress(data, model=chosen)).colour

    if isinstance(quality, Target):
        quick = meet(quality, lambda index: encode(index, 0), picture.colour, decode)
        if effort == 0:
            return quick.data
        return meet(quality, encode, picture.colour, decode, quick.index).data
    return encode(step_index(quality, chosen.config.qualities))


@plain_torch()
def compress_at(
    image: Image.Image | np.ndarray | Picture,
    index: int,
    model: ImageModel,
    *,
    rate_weight: float | None = None,
    effort: int = DEFAULT_EFFORT,
) -> bytes:
    """Compress at an exact step index; `rate_weight` overrides what one bit is worth to the encoder."""
    rounds = rounds_of(effort)
    picture = image if isinstance(image, Picture) else read_picture(image)
    height, width = picture.colour.shape[:2]
    if height * width > MAX_PIXELS:
        raise InvalidInputError(
            f"The picture has {height * width} pixels: expected at most {MAX_PIXELS}; cut it first."
        )
    if not model.fingerprint:
        raise InvalidInputError(
            "The model is not a file yet: expected one as `find_model` gives it; save it and open it first."
        )
    header = Header(picture.mode, width, height, check_index(index), model.fingerprint)
    weight = model.config.rate_weight if rate_weight is None else rate_weight
    layers = LayerEncoder(model, picture.colour, header.setting, weight, rounds).cheapest()
    return pack(KIND, [Section("HEAD", header.to_bytes()), *layers.sections(), *_extras(picture)])


@plain_torch()
def decompress(
    data: bytes, *, model: str | Path | ImageModel | None = None, limit: int | None = None
) -> Image.Image:
    """The picture of `.bary` bytes; of at most `limit` bytes of pixels, where that is given.

    Raises CorruptFileError for damaged files, UnsupportedFileError without its model, LimitError.
    """
    container = unpack(data)
    header = read_header(container)
    described = metadata.Metadata.from_container(container)
    require_within(limit, header.width * header.height * len(header.mode), "The picture")
    pixels = _decode_pixels(container, header, model)
    alpha = (
        unpack_alpha(container.one("ALPH"), header.width, header.height)
        if header.mode.endswith("A")
        else None
    )
    return Picture(header.mode, pixels, alpha, described).to_image()


def _decode_pixels(container: Container, header: Header, model: str | Path | ImageModel | None) -> np.ndarray:
    """The drawing over what the tiles decode to: uint8 (H, W, 3)."""
    drawing = None
    if container.all("FLAT"):
        drawing = unpack_drawing(container.one("FLAT"), header.width, header.height)
        if drawing.is_whole == bool(container.all("TILE")):
            raise CorruptFileError(
                "The drawing and the tiles are not the whole picture together: the file is damaged."
            )
        if header.setting.grey and (drawing.pixels != drawing.pixels[:, :, :1]).any():
            raise CorruptFileError("The picture is grey and its drawing is not: the file is damaged.")
        if drawing.is_whole:
            return drawing.pixels
    chosen = model_of(header.fingerprint) if model is None else _checked(find_model(model), header)
    codes = read_codes(container, header, chosen)
    pixels = reconstruct(chosen, codes, header.setting, (header.height, header.width))
    if len(header.tiles()) > 1:
        del codes
        give_back()
    return pixels if drawing is None else drawing.over(pixels)


def _checked(model: ImageModel, header: Header) -> ImageModel:
    if model.fingerprint and model.fingerprint != header.fingerprint:
        raise UnsupportedFileError(
            f"The picture needs the model {header.fingerprint.hex()}, and the one that was given is "
            f"{model.config.name} ({model.fingerprint.hex()}): pass the model that it was made with, or none "
            "for a shipped one."
        )
    return model


def read_header(container: Container) -> Header:
    """The header of a compressed picture."""
    if container.kind != KIND:
        raise CorruptFileError(f"This file holds {container.kind!r}, not a picture.")
    container.require_layout(LAYOUT)
    header = Header.from_bytes(container.one("HEAD"))
    if not container.all("TILE") and not container.all("FLAT"):
        raise CorruptFileError("The picture has neither tiles nor a drawing: the file is damaged.")
    if bool(container.all("ALPH")) != header.mode.endswith("A"):
        raise CorruptFileError(f"The picture is {header.mode}, alpha and all: the file is damaged.")
    return header


def read_codes(container: Container, header: Header, model: ImageModel) -> PictureCodes:
    """All codes of a picture: exact integers, the same on every machine."""
    payloads, places = container.all("TILE"), header.tiles()
    if len(payloads) != len(places):
        raise CorruptFileError(
            f"The picture has {len(payloads)} tiles, expected {len(places)}: the file is damaged."
        )
    for payload, tile in zip(payloads, places, strict=True):
        require_least(payload, least_size(tile.size))
    codes = PictureCodes(blocks(header.height), blocks(header.width))
    step = header.setting.step()
    for payload, tile in watched("codes", list(zip(payloads, places, strict=True))):
        part = decode_tile(model, payload, tile.size, header.setting)
        codes.put(tile, part, model.config.policy.measure(part[None], step))
        if len(places) > 1:
            del part
            give_back()
    return codes


def _extras(picture: Picture) -> list[Section]:
    """In the order of LAYOUT."""
    alpha = b"" if picture.alpha is None else pack_alpha(picture.alpha)
    return [*([Section("ALPH", alpha)] if alpha else []), *picture.metadata.sections()]
