"""Pictures in files, folders and tars."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from barycode.errors import CorruptFileError, MissingDataError
from barycode.training.datasets.picture_set import PictureSet

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".ppm", ".bmp", ".tif", ".tiff", ".avif", ".jp2"})


def picture_files(paths: Sequence[Path], labels: Sequence[int] | None = None) -> PictureSet:
    """Picture files, one entry each, named by their stems."""
    paths = tuple(paths)
    return PictureSet(
        tuple(path.stem for path in paths),
        lambda i: decode(paths[i].read_bytes(), str(paths[i])),
        None if labels is None else tuple(labels),
    )


def picture_folder(folder: Path) -> PictureSet:
    """Every picture under `folder`, in the order of their paths; MissingDataError if there are none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise MissingDataError(f"{folder} holds no pictures; looked for {', '.join(sorted(SUFFIXES))}.")
    return picture_files(paths)


def image_folder(folder: Path) -> PictureSet:
    """Pictures in one sub-folder a class (the ImageFolder layout): labels number the sorted folder names.

    Raises MissingDataError without pictures.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = [
        (path, label)
        for label, where in enumerate(classes)
        for path in sorted(where.iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise MissingDataError(f"{folder} holds no class folders with pictures.")
    paths, labels = zip(*found, strict=True)
    return picture_files(paths, labels)


def picture_tar(path: Path) -> PictureSet:
    """The pictures of an uncompressed tar, in its order; members are read in place, nothing is unpacked.

    Raises CorruptFileError for another file, MissingDataError without pictures.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            members = [m for m in tar if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES]
    except tarfile.TarError as error:
        raise CorruptFileError(f"{path} is not an uncompressed tar of pictures ({error}).") from error
    if not members:
        raise MissingDataError(f"{path} holds no pictures.")
    places = [(member.offset_data, member.size) for member in members]

    def read(i: int) -> Image.Image:
        offset, size = places[i]
        with path.open("rb") as file:
            file.seek(offset)
            return decode(file.read(size), f"{members[i].name} in {path}")

    return PictureSet(tuple(Path(member.name).stem for member in members), read)


def decode(data: bytes, name: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise CorruptFileError(f"{name} cannot be read as a picture ({error}).") from error
