"""Rate-distortion rows: one codec, one setting, one picture, real bytes in and real pixels out."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from PIL import Image

from barycode.errors import CorruptFileError, InvalidInputError
from barycode.evaluation import metrics, ssimulacra2
from barycode.training.datasets import PictureSet


@dataclass(frozen=True)
class Codec:
    """A way to turn a picture into a file and back, with the settings it is measured at.

    name: what tables print. description: the settings, in a sentence that lets someone repeat them.
    encode: picture, setting -> the whole file. decode: the file alone -> picture.
    """

    name: str
    description: str
    settings: tuple[float, ...]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]


@dataclass(frozen=True)
class Picture:
    """A named RGB picture."""

    name: str
    image: Image.Image


def pictures_of(pictures: PictureSet) -> list[Picture]:
    """A data set's pictures with their names, decoded."""
    return [Picture(name, image) for name, image in zip(pictures.names, pictures, strict=True)]


@dataclass(frozen=True)
class Row:
    """One measured point; times in seconds.

    ms_ssim and ssimulacra2 are None where the picture is too small for them, or nobody has measured them.
    """

    codec: str
    picture: str
    setting: float
    size: int
    pixels: int
    mse: float
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float
    ssimulacra2: float | None = None

    @property
    def bpp(self) -> float:
        """Bits per pixel of the file."""
        return metrics.bpp(self.size, self.pixels)

    @property
    def psnr(self) -> float:
        """In dB, over all channels."""
        return metrics.psnr_of_mse(self.mse)

    @property
    def ms_ssim_db(self) -> float | None:
        """-10 log10(1 - MS-SSIM), where it was measured."""
        return None if self.ms_ssim is None else metrics.ms_ssim_db(self.ms_ssim)


def measure(codec: Codec, picture: Picture, setting: float) -> Row:
    """Encode and decode one picture once; the metrics see what the file alone gives back."""
    start = time.perf_counter()
    data = codec.encode(picture.image, setting)
    encoded = time.perf_counter()
    decoded = codec.decode(data)
    done = time.perf_counter()
    return Row(
        codec=codec.name,
        picture=picture.name,
        setting=setting,
        size=len(data),
        pixels=picture.image.width * picture.image.height,
        mse=round(metrics.mse(picture.image, decoded), 6),
        ms_ssim=_ms_ssim_or_none(picture.image, decoded),
        encode_seconds=round(encoded - start, 4),
        decode_seconds=round(done - encoded, 4),
        ssimulacra2=_ssimulacra2_or_none(picture.image, decoded),
    )


def rate_distortion(
    codec: Codec,
    pictures: Iterable[Picture],
    settings: Sequence[float] | None = None,
    known: Iterable[Row] = (),
) -> Iterator[Row]:
    """Yield a Row for each picture and setting, in that order; rows in `known` are not measured again."""
    found = {(row.picture, row.setting): row for row in known if row.codec == codec.name}
    for picture in pictures:
        for setting in codec.settings if settings is None else settings:
            yield found.get((picture.name, setting)) or measure(codec, picture, setting)


def measure_into(
    path: Path, codec: Codec, pictures: Sequence[Picture], advance: Callable[[], object] = lambda: None
) -> list[Row]:
    """Measure a codec on all pictures and return the rows, resuming from the rows in `path`.

    Saves after every picture, and then calls `advance` (for a progress bar).
    """
    known, rows = load_rows(path), []
    for picture in pictures:
        measured = list(rate_distortion(codec, [picture], known=known))
        new = [row for row in measured if row not in known]
        if new:
            known += new
            save_rows(path, known)
        rows += measured
        advance()
    return rows


def save_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as JSON: the column names, then one row a line."""
    lines = ",\n".join(json.dumps(astuple(row)) for row in rows)
    columns = json.dumps([field.name for field in fields(Row)])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(f'{{"columns": {columns},\n"rows": [\n{lines}\n]}}\n')
    partial.replace(path)


def load_rows(path: Path) -> list[Row]:
    """Read what save_rows wrote; a file that is not there has no rows. Raises CorruptFileError."""
    if not path.exists():
        return []
    try:
        table = json.loads(path.read_text())
        return [Row(**dict(zip(table["columns"], row, strict=True))) for row in table["rows"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(
            f"{path} does not hold rate-distortion rows ({error}); delete it to measure again."
        ) from error


def _ms_ssim_or_none(original: Image.Image, decoded: Image.Image) -> float | None:
    if min(original.size) < metrics.MS_SSIM_SMALLEST_SIDE:
        return None
    return round(metrics.ms_ssim(original, decoded), 7)


def _ssimulacra2_or_none(original: Image.Image, decoded: Image.Image) -> float | None:
    if min(original.size) < ssimulacra2.SMALLEST_SIDE:
        return None
    return round(metrics.ssimulacra2(original, decoded), 4)


def by_picture(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows grouped by picture, in the order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.picture, []).append(row)
    return groups


def of_codec(rows: Iterable[Row], name: str) -> list[Row]:
    """The rows of one codec; InvalidInputError names the codecs there are when it has none."""
    rows = list(rows)
    chosen = [row for row in rows if row.codec == name]
    if not chosen:
        known = ", ".join(sorted({row.codec for row in rows})) or "none"
        raise InvalidInputError(f"there are no rows of the codec {name!r}; the rows are of: {known}.")
    return chosen
