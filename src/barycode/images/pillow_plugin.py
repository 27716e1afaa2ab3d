"""`Image.open("x.bary")` and `image.save("x.bary")`, once `barycode.images` is imported."""

from typing import IO, Any

from PIL import Image, ImageFile

from barycode.container import unpack
from barycode.container.framing import EXTENSION, KINDS, MAGIC
from barycode.errors import BarycodeError
from barycode.images.codec import KIND, compress, decompress, read_header
from barycode.images.metadata import Explicit, Metadata

FORMAT = "BARY"
OPTIONS = ("quality", "effort", "model")


class UnreadablePictureError(BarycodeError, OSError):
    """A `.bary` file that Pillow was to open cannot be: an OSError, as Pillow's users expect."""


def is_picture(prefix: bytes) -> bool:
    """Whether a file that begins like this is a compressed picture."""
    return prefix.startswith(MAGIC) and prefix[len(MAGIC) + 1 :].startswith(KINDS[KIND])


class BaryImageFile(ImageFile.ImageFile):
    """A compressed picture: size, mode and description are read at once, pixels when needed."""

    format = FORMAT
    format_description = "Barycode picture"

    def _open(self) -> None:
        assert self.fp is not None
        self._compressed = self.fp.read()
        try:
            container = unpack(self._compressed)
            header = read_header(container)
            Metadata.from_container(container).attach(self)
        except BarycodeError as error:
            raise UnreadablePictureError(str(error)) from error
        self._size = (header.width, header.height)
        self._mode = header.mode

    def load(self) -> Any:
        """Decode the pixels, and let go of the file."""
        if self._compressed:
            try:
                self.im = decompress(self._compressed).im
            except BarycodeError as error:
                raise UnreadablePictureError(str(error)) from error
            self._compressed = b""
            if self._exclusive_fp and self.fp is not None:
                self.fp.close()
            self.fp = None
        return super().load()

    def __setstate__(self, state: list[Any]) -> None:
        """What was pickled is loaded; nothing is left to decode."""
        self._compressed = b""
        super().__setstate__(state)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    given = image.encoderinfo
    options = {name: given[name] for name in OPTIONS if name in given}
    explicit: Explicit = {}
    if given.get("strip"):
        explicit["strip"] = True
    if given.get("flatten"):
        explicit["flatten"] = True
    for name in ("exif", "icc_profile", "xmp"):
        if name in given:
            explicit[name] = given[name] or b""  # None removes, as in Pillow's own formats
    if given.get("dpi"):
        explicit["dpi"] = given["dpi"]
    file.write(compress(image, **options, **explicit))


def register() -> None:
    """Tell Pillow of the format; done when `barycode.images` is imported."""
    Image.register_open(FORMAT, BaryImageFile, is_picture)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, "image/x-barycode")
