"""Data sets by name, in the layout of their publishers or as a mosaic pack, whichever is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from barycode.errors import InvalidInputError, MissingDataError
from barycode.training.datasets.cifar10 import cifar10
from barycode.training.datasets.files import picture_folder
from barycode.training.datasets.gtsrb import gtsrb
from barycode.training.datasets.mosaic import mosaic_pack
from barycode.training.datasets.picture_set import PictureSet

Split = Literal["train", "test"]
BEDROOMS = {"train": 4_096, "test": 256}  # as many as the pack has, where a folder has more


@dataclass(frozen=True)
class KnownSet:
    """Where a data set may lie in a data folder.

    packs: mosaic packs of the training and the test pictures. public: the folder that its publisher's files
    unpack to. read: that folder and a split -> pictures, as the packs have them. source: how to get it.
    """

    packs: dict[Split, str]
    public: str
    read: Callable[[Path, Split], PictureSet]
    source: str


def known_pictures(name: str, split: Split, folder: Path) -> PictureSet:
    """The training or the test pictures of a set by its name, from a data folder.

    Raises InvalidInputError for another name, MissingDataError with where to get a set that is not there.
    """
    if name not in KNOWN:
        raise InvalidInputError(f"There is no data set {name!r}; choose from {', '.join(KNOWN)}.")
    known = KNOWN[name]
    pack, public = folder / known.packs[split], folder / known.public
    if pack.exists():
        return mosaic_pack(pack)
    if public.is_dir():
        return known.read(public, split)
    raise MissingDataError(
        f"{folder} has neither {known.packs[split]} nor {known.public}/. {known.source}, "
        "or pass another --data."
    )


def _signs(folder: Path, split: Split) -> PictureSet:
    return _mapped(gtsrb(folder, split), lambda picture: picture.resize((32, 32), Image.Resampling.BILINEAR))


def _bedrooms(folder: Path, split: Split) -> PictureSet:
    place = folder / split
    if not place.is_dir():
        raise MissingDataError(f"{folder} has no folder {split}/ with pictures.")
    return _mapped(picture_folder(place)[: BEDROOMS[split]], lambda picture: square(picture, 64))


def square(picture: Image.Image, side: int) -> Image.Image:
    """The middle of a picture as a square of `side` pixels, by averages over boxes."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return picture.resize((side, side), Image.Resampling.BOX, box=box)


def _mapped(pictures: PictureSet, change: Callable[[Image.Image], Image.Image]) -> PictureSet:
    return replace(pictures, read=lambda i: change(pictures.read(i)))


KNOWN = {
    "cifar10": KnownSet(
        {"train": "cifar10_train.npz", "test": "cifar10_test.npz"},
        "cifar-10-batches-py",
        cifar10,
        "Unpack the python version of CIFAR-10 (www.cs.toronto.edu/~kriz/cifar.html) there",
    ),
    "gtsrb": KnownSet(
        {"train": "gtsrb32_train_sub.npz", "test": "gtsrb32_test.npz"},
        "GTSRB",
        _signs,
        "Unpack the training images, test images and test annotations of GTSRB (benchmark.ini.rub.de), so "
        "that GTSRB/Final_Training/Images, GTSRB/Final_Test/Images and GTSRB/GT-final_test.csv are there",
    ),
    "lsun": KnownSet(
        {"train": "lsun_bedroom64_train.npz", "test": "lsun_bedroom64_test.npz"},
        "lsun_bedroom",
        _bedrooms,
        "Export bedrooms of LSUN (github.com/fyu/lsun), or put other pictures, into lsun_bedroom/train and "
        "lsun_bedroom/test",
    ),
}
