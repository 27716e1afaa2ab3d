"""What of a picture is kept: pixels as RGB or grey, alpha, EXIF and ICC profile.

Grey, RGB and their variants with alpha are kept as they are; palettes and bilevel pictures become grey, RGB
or RGBA. Alpha is stored losslessly. EXIF (with its orientation) and the ICC profile are carried as bytes;
pixels are never rotated. Pictures of more than 8 bits, floats and CMYK are refused: convert them first, so
that you decide how.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from barycode.errors import CorruptFileError, InvalidInputError

MODES = ("L", "LA", "RGB", "RGBA")
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "La": "LA", "RGBa": "RGBA"}


@dataclass(frozen=True)
class Picture:
    """`colour` uint8 (H, W, 3), the three planes equal where the mode is grey; `alpha` uint8 (H, W) or
    None.
    """

    mode: str
    colour: np.ndarray
    alpha: np.ndarray | None = None
    exif: bytes = b""
    icc: bytes = b""

    @property
    def is_grey(self) -> bool:
        return self.mode.startswith("L")

    def to_image(self) -> Image.Image:
        planes = self.colour[:, :, :1] if self.is_grey else self.colour
        if self.alpha is not None:
            planes = np.concatenate([planes, self.alpha[:, :, None]], 2)
        image = Image.fromarray(np.ascontiguousarray(planes[:, :, 0] if planes.shape[2] == 1 else planes))
        if self.exif:
            image.info["exif"] = self.exif
        if self.icc:
            image.info["icc_profile"] = self.icc
        return image


def read_picture(image: Image.Image | np.ndarray) -> Picture:
    """Take in a PIL image, or a uint8 array (H, W), (H, W, 1) ... (H, W, 4)."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Image.Image):
        raise InvalidInputError(f"Expected a PIL image or a uint8 array, got {type(image).__name__}.")
    if 0 in image.size:
        raise InvalidInputError(
            f"The picture is {image.width} x {image.height}: expected at least one pixel."
        )
    exif, icc = image.info.get("exif", b""), image.info.get("icc_profile") or b""
    if not exif and image.getexif():
        exif = image.getexif().tobytes()
    plain = _convert(image)
    colour = np.asarray(plain.convert("RGB"))
    alpha = np.asarray(plain.getchannel("A")) if "A" in plain.mode else None
    return Picture(plain.mode, colour, alpha, exif, icc)


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


def _convert(image: Image.Image) -> Image.Image:
    if image.mode in MODES:
        transparent = image.mode in ("L", "RGB") and "transparency" in image.info
        return image.convert({"L": "LA", "RGB": "RGBA"}[image.mode]) if transparent else image
    if image.mode in ("P", "PA") and ("transparency" in image.info or image.mode == "PA"):
        return image.convert("RGBA")
    if image.mode in _CONVERTED:
        return image.convert(_CONVERTED[image.mode])
    raise InvalidInputError(
        f"Pictures of mode {image.mode} are not supported: expected grey, RGB or palette of 8 bits, with or "
        'without alpha; convert it first, for example with image.convert("RGB").'
    )


def pack_alpha(alpha: np.ndarray) -> bytes:
    """The alpha plane as a lossless PNG."""
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def unpack_alpha(data: bytes, width: int, height: int) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (width, height) or image.mode != "L":
                raise CorruptFileError(
                    f"The alpha plane is not grey and {width} x {height} pixels: the file is damaged."
                )
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptFileError("The alpha plane cannot be read: the file is damaged.") from error
