"""Packs of small pictures: equal tiles in lossless WebP mosaics, inside an .npz without pickles."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from barycode.errors import CorruptFileError
from barycode.training.datasets.files import decode
from barycode.training.datasets.picture_set import Images, PictureSet, picture_array


def mosaic_pack(path: Path) -> PictureSet:
    """An .npz of equal tiles in lossless WebP mosaics, with labels when it has them.

    Keys: webp (the mosaics' bytes), offsets (mosaics + 1), count, per (tiles a mosaic), cols, tile (height,
    width), and perhaps labels.
    """
    try:
        with np.load(path, allow_pickle=False) as pack:
            images = np.concatenate(list(_tiles(pack)))[: int(pack["count"])]
            labels = tuple(int(label) for label in pack["labels"]) if "labels" in pack else None
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise CorruptFileError(f"{path} is not a pack of picture mosaics ({error}).") from error
    return picture_array(images, labels)


def _tiles(pack: Any) -> Iterator[Images]:
    data, offsets = pack["webp"].tobytes(), pack["offsets"].tolist()
    cols, (height, width) = int(pack["cols"]), pack["tile"].tolist()
    for start, end in itertools.pairwise(offsets):
        mosaic = np.asarray(decode(data[start:end], "a mosaic"))
        rows = mosaic.reshape(-1, height, cols, width, 3).transpose(0, 2, 1, 3, 4)
        yield rows.reshape(-1, height, width, 3)[: int(pack["per"])]
