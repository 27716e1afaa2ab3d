"""What of a picture is kept: pixels as RGB or grey, alpha, and what describes it (`metadata`).

Grey, RGB and their variants with alpha are kept as they are; palettes and bilevel pictures become grey, RGB
or RGBA. Alpha is stored losslessly. EXIF (with its orientation) is carried; pixels are never rotated.
Pictures of more than one frame or of more than 8 bits, floats and CMYK are refused: convert them first, so
that you decide how.
"""

import io
import re
import struct
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
from PIL import Image, PngImagePlugin

from barycode.container import inflate
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError
from barycode.images.metadata import Explicit, Metadata, metadata_of
from barycode.images.source import bits_of, check_representable

MODES = ("L", "LA", "RGB", "RGBA")
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "La": "LA", "RGBa": "RGBA"}
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """`colour` uint8 (H, W, 3), the three planes equal where the mode is grey; `alpha` uint8 (H, W) or
    None.
    """

    mode: str
    colour: np.ndarray
    alpha: np.ndarray | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def is_grey(self) -> bool:
        return self.mode.startswith("L")

    def to_image(self) -> Image.Image:
        planes = self.colour[:, :, :1] if self.is_grey else self.colour
        if self.alpha is not None:
            planes = np.concatenate([planes, self.alpha[:, :, None]], 2)
        image = Image.fromarray(np.ascontiguousarray(planes[:, :, 0] if planes.shape[2] == 1 else planes))
        self.metadata.attach(image)
        return image


def read_picture(image: Image.Image | np.ndarray, **explicit: Unpack[Explicit]) -> Picture:
    """Take in a PIL image, or a uint8 array (H, W), (H, W, 1) ... (H, W, 4), with what describes it."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Image.Image):
        raise InvalidInputError(f"Expected a PIL image or a uint8 array, got {type(image).__name__}.")
    bits = _load(image, explicit.get("flatten", False))
    if 0 in image.size:
        raise InvalidInputError(
            f"The picture is {image.width} x {image.height}: expected at least one pixel."
        )
    metadata = metadata_of(image, explicit)
    if explicit.get("flatten"):
        image = _cut_to_bytes(image, bits)
    plain = _convert(image, bits)
    colour = np.asarray(plain.convert("RGB"))
    alpha = np.asarray(plain.getchannel("A")) if "A" in plain.mode else None
    return Picture(plain.mode, colour, alpha, metadata)


def _load(image: Image.Image, flatten: bool) -> int:
    """Read the pixels, before anything is asked about them: a TIFF is turned upright on the way. The bits of
    a sample in its file.
    """
    try:
        if not flatten:
            check_representable(image)
        bits = bits_of(image)
        image.load()
    except BarycodeError:
        raise
    except Exception as error:  # damaged pictures raise nearly everything in Pillow
        raise InvalidInputError(f"The picture cannot be read: {error!r}.") from error
    return bits


def _from_array(array: np.ndarray) -> Image.Image:
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4))
    ):
        raise InvalidInputError(
            f"The array is {array.dtype} of shape {array.shape}: expected uint8, (H, W) or (H, W, 1 to 4)."
        )
    if 0 in array.shape:
        raise InvalidInputError(f"The array of shape {array.shape} is empty: expected at least one pixel.")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(array)


def _convert(image: Image.Image, bits: int) -> Image.Image:
    transparency = image.info.get("transparency")
    if isinstance(transparency, str):  # a PNG's text that is called so
        image, transparency = image.copy(), None
        del image.info["transparency"]
    if image.mode in ("1", "L") and isinstance(transparency, int):
        plain = image.convert("L")
        scale = 255 // (2**bits - 1) if image.mode == "L" and bits < 8 else 1
        return _without(plain, np.asarray(plain) == transparency * scale)
    if image.mode in MODES:
        return image.convert("RGBA") if image.mode == "RGB" and transparency is not None else image
    if image.mode in ("P", "PA") and (transparency is not None or image.mode == "PA"):
        return image.convert("RGBA")
    if image.mode in _CONVERTED:
        return image.convert(_CONVERTED[image.mode])
    raise InvalidInputError(
        f"Pictures of mode {image.mode} are not supported: expected grey, RGB or palette of 8 bits, with or "
        'without alpha; convert it first, for example with image.convert("RGB").'
    )


def _cut_to_bytes(image: Image.Image, bits: int) -> Image.Image:
    """Of samples of 9 to 16 bits the upper eight. InvalidInputError where a colour is transparent: Pillow
    has cut it already, and others may look like it now.
    """
    transparency = image.info.get("transparency")
    if image.mode.startswith("I;16") or (image.mode == "I" and 8 < bits <= 16):
        samples = np.asarray(image)
        image = Image.fromarray((samples >> 8).astype(np.uint8))
        return image if transparency is None else _without(image, samples == transparency)
    if bits > 8 and image.mode == "RGB" and transparency is not None:
        raise InvalidInputError(
            f"The picture has a transparent colour of {bits} bits, which 8 do not tell from others: convert "
            "it to RGBA first."
        )
    return image


def _without(image: Image.Image, transparent: np.ndarray) -> Image.Image:
    """A grey picture that is transparent there (H, W), and opaque elsewhere."""
    whole = image.convert("LA")
    whole.putalpha(Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8)))
    return whole


def pack_alpha(alpha: np.ndarray) -> bytes:
    """The alpha plane as a lossless PNG."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def unpack_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    """The plane of `pack_alpha`; CorruptFileError for anything else."""
    _require_plain_png(data, width, height)
    try:
        # Not Image.open, which refuses what is larger than its own idea of a bomb: the size is known.
        with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
            if image.size != (width, height) or image.mode != "L":
                raise CorruptFileError(
                    f"The alpha plane is not grey and {width} x {height} pixels: the file is damaged."
                )
            return np.asarray(image)
    except CorruptFileError:
        raise
    except Exception as error:  # damaged chunks raise nearly everything in Pillow
        raise CorruptFileError("The alpha plane cannot be read: the file is damaged.") from error


def _require_plain_png(data: bytes, width: int, height: int) -> None:
    """Header, all pixels and end mark are all there is: what describes a picture has sections of its own."""
    names, deflated, place = [], [], len(_PNG)
    while data.startswith(_PNG) and place < len(data):
        length, name = struct.unpack_from(">I4s", data.ljust(place + 8, b"\0"), place)
        names.append(name)
        if name == b"IDAT":
            deflated.append(data[place + 8 : place + 8 + length])
        place += length + 12
    if place != len(data) or not re.fullmatch(b"IHDR(IDAT)+IEND", b"".join(names)):
        raise CorruptFileError("The alpha plane is no PNG of pixels alone: the file is damaged.")
    inflate(b"".join(deflated), (width + 1) * height, "The alpha plane")
