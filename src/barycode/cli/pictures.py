"""Pictures in and out of files, for the commands that touch them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from barycode.errors import InvalidInputError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".ppm", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2"}
)


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """The picture in a file, with its profile and EXIF; InvalidInputError if it is not a picture."""
    try:
        image = Image.open(path)
        image.load()
    except (UnidentifiedImageError, SyntaxError, OSError, Image.DecompressionBombError) as error:
        raise InvalidInputError(f"{path} is not a picture that Pillow can read ({error}).") from error
    with image:
        yield image


def picture_bytes(image: Image.Image, suffix: str) -> bytes:
    """The picture as a file of the type that `suffix` names, colour profile and EXIF kept."""
    file_format = Image.registered_extensions().get(suffix.lower())
    if file_format not in Image.SAVE:
        raise InvalidInputError(f"Pillow writes no {suffix!r} files; name the output .png, .webp or .tiff.")
    stream = io.BytesIO()
    kept = {name: value for name in ("icc_profile", "exif") if (value := image.info.get(name))}
    image.save(stream, file_format, **kept)
    return stream.getvalue()
