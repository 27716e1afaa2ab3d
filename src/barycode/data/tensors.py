"""What a compressed picture is to a network: pixels, or its codes without the pixels."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Int16, UInt8
from torch import Tensor

from barycode.container import unpack
from barycode.images.codec import decompress, read_codes, read_header
from barycode.images.shelf import model_of
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
    step that the file was made with, so that equal codes of different qualities are not equal colours.
    Errors are those of `pixels`.
    """
    container = unpack(data)
    header = read_header(container)
    return torch.from_numpy(
        read_codes(container, header, model_of(header.fingerprint)).codes.astype(np.int16)
    )
