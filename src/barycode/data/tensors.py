"""What a compressed picture is to a network: pixels, or its codes without the pixels."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Int16, UInt8
from torch import Tensor

from barycode.container import unpack
from barycode.errors import UnsupportedFileError
from barycode.images.codec import decompress, read_codes, read_header
from barycode.images.lattice import UNIT
from barycode.images.registry import model_of
from barycode.images.slices import DC_BANDS
from barycode.plain_torch import plain_torch

Mode = Literal["L", "LA", "RGB", "RGBA"]


def pixels(data: bytes, mode: Mode | None = "RGB") -> UInt8[Tensor, "channels height width"]:
    """The pixels of a compressed picture, 0 to 255; of the file's own mode, and number of channels, for None.

    Raises CorruptFileError for damaged files, UnsupportedFileError without the model.
    """
    picture = decompress(data)
    array = np.array(picture if mode is None else picture.convert(mode))
    return torch.from_numpy(array.reshape(picture.height, picture.width, -1)).movedim(-1, 0).contiguous()


@plain_torch()
def picture_codes(data: bytes) -> Int16[Tensor, "192 rows columns"]:
    """The codes of a compressed picture, exact integers on every machine, without the decoder network.

    A column of them is a block of 8 x 8 pixels: 64 bands of three colour channels. They are in units of the
    step that the file was made with, DC (bands 0, 64 and 128) in eighths of it, so that equal codes of
    different qualities are not equal colours. Errors are those of `pixels`, and UnsupportedFileError for a
    drawing, which has no codes.
    """
    container = unpack(data)
    header = read_header(container)
    if container.all("FLAT"):
        raise UnsupportedFileError(
            "The picture was stored as a drawing, which has no codes: read its pixels instead."
        )
    codes = read_codes(container, header, model_of(header.fingerprint))
    whole = codes.bands.astype(np.int16)
    whole[list(DC_BANDS)] = codes.dc * UNIT
    return torch.from_numpy(whole)
