"""From a path to a reader."""

import os
from pathlib import Path

from barycode.errors import MissingDataError
from barycode.training.datasets.files import picture_files, picture_folder, picture_tar
from barycode.training.datasets.mosaic import mosaic_pack
from barycode.training.datasets.picture_set import PictureSet

DATA_VARIABLE = "BARYCODE_DATA"


def data_folder(given: Path | None = None) -> Path:
    """The folder of data sets: the one given, else BARYCODE_DATA's; MissingDataError if there is none."""
    folder = given or Path(os.environ.get(DATA_VARIABLE, ""))
    if folder == Path() or not folder.is_dir():
        raise MissingDataError(
            f"no data folder at {str(folder)!r}; pass --data FOLDER or set {DATA_VARIABLE}."
        )
    return folder


def open_pictures(path: Path) -> PictureSet:
    """The pictures at `path`: a folder (with all below it), one picture, a .tar or an .npz mosaic pack.

    Raises MissingDataError where there is nothing, and what the reader of its kind does.
    """
    if path.is_dir():
        return picture_folder(path)
    if not path.exists():
        raise MissingDataError(
            f"{path} does not exist; expected a folder of pictures, a picture, a .tar or an .npz pack."
        )
    readers = {".tar": picture_tar, ".npz": mosaic_pack}
    return readers.get(path.suffix.lower(), lambda file: picture_files([file]))(path)
