"""Readers of pictures: folders, tars, mosaic packs, CIFAR-10 and GTSRB, all behind one type."""

from barycode.training.datasets.cifar10 import cifar10
from barycode.training.datasets.files import image_folder, picture_files, picture_folder, picture_tar
from barycode.training.datasets.gtsrb import gtsrb
from barycode.training.datasets.known import known_pictures
from barycode.training.datasets.locate import data_folder, open_pictures
from barycode.training.datasets.mosaic import mosaic_pack
from barycode.training.datasets.picture_set import PictureSet, picture_array

__all__ = [
    "PictureSet",
    "cifar10",
    "data_folder",
    "gtsrb",
    "image_folder",
    "known_pictures",
    "mosaic_pack",
    "open_pictures",
    "picture_array",
    "picture_files",
    "picture_folder",
    "picture_tar",
]
