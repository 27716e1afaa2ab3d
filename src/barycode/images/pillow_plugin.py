"""`Image.open("x.bary")` and `image.save("x.bary")`, once `barycode.images` is imported."""

from typing import IO, Any

from PIL import Image, ImageFile

from barycode.container import unpack
from barycode.container.framing import KINDS, MAGIC
from barycode.images.codec import KIND, compress, decompress, read_header

FORMAT = "BARY"
EXTENSION = ".bary"


def is_picture(prefix: bytes) -> bool:
    """Whether a file that begins like this is a compressed picture."""
    return prefix.startswith(MAGIC) and prefix[len(MAGIC) + 1 :].startswith(KINDS[KIND])


class BaryImageFile(ImageFile.ImageFile):
    """A compressed picture: size and mode are read at once, pixels when they are needed."""

    format = FORMAT
    format_description = "Barycode picture"

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        container = unpack(self._data)
        header = read_header(container)
        self._size = (header.width, header.height)
        self._mode = header.mode
        kept = {"exif": container.optional("EXIF"), "icc_profile": container.optional("ICCP")}
        self.info = {key: data for key, data in kept.items() if data}

    def load(self) -> Any:
        if self._data:
            self.im = decompress(self._data).im
            self._data = b""
        return super().load()


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    options = {key: image.encoderinfo[key] for key in ("quality", "model") if key in image.encoderinfo}
    file.write(compress(image, **options))


def register() -> None:
    """Tell Pillow of the format; done when `barycode.images` is imported."""
    Image.register_open(FORMAT, BaryImageFile, is_picture)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, "image/x-barycode")
