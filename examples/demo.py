"""Compress three photos, decompress them from the files alone, and show them beside JPEG at equal bytes.

Run it with `make demo`. It writes the compressed files and side-by-side.png to demo-output/.
"""

import io
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from barycode.container import write_atomic
from barycode.evaluation.anchors import jpeg_at_bytes
from barycode.evaluation.metrics import bpp, ms_ssim, psnr
from barycode.evaluation.side_by_side import Crop, Panel, side_by_side
from barycode.images import compress, decompress

PHOTOS = Path(__file__).parent / "photos"
OUTPUT = Path("demo-output")
QUALITIES = (1, 2, 3, 4, 5)
SHOWN_QUALITY = 3
CROPS = {
    "kodim05": Crop(left=380, top=10),
    "kodim15": Crop(left=390, top=80),
    "kodim21": Crop(left=250, top=70),
}
COLUMNS = (
    *("photo", "quality", "bytes", "bpp", "PSNR", "MS-SSIM"),
    *("JPEG bytes", "PSNR", "MS-SSIM", "encode s", "decode s"),
)


@dataclass(frozen=True)
class Result:
    """One photo at one quality, and the JPEG that got at least as many bytes."""

    photo: str
    quality: float
    size: int
    decoded: Image.Image
    jpeg_size: int
    jpeg: Image.Image
    encode_seconds: float
    decode_seconds: float


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    photos = {path.stem: Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.png"))}
    # Loads the model, so that the times below are those of encoding and decoding.
    decompress(compress(next(iter(photos.values())).resize((64, 64))))
    console = Console()
    table = Table(
        title="Barycode, and JPEG at the same bytes or a few more", box=SIMPLE, padding=0, show_edge=False
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "photo" else "right")
    panels = []
    for name, photo in photos.items():
        for quality in QUALITIES:
            result = run(name, photo, quality)
            table.add_row(*cells(photo, result))
            if quality == SHOWN_QUALITY:
                panels.append(panels_of(photo, result, CROPS[name]))
    console.print(table)
    sheet = OUTPUT / "side-by-side.png"
    side_by_side(panels).save(sheet)
    console.print(f"compressed files and {sheet.name} are in {OUTPUT}/")


def run(name: str, photo: Image.Image, quality: float) -> Result:
    """Photo to file, and the file alone back to pixels."""
    file = OUTPUT / f"{name}-q{quality}.bary"
    start = time.perf_counter()
    write_atomic(file, compress(photo, quality=quality), force=True)
    written = time.perf_counter()
    decoded = decompress(file.read_bytes())
    done = time.perf_counter()
    size = file.stat().st_size
    jpeg = jpeg_at_bytes(photo, size)
    picture = Image.open(io.BytesIO(jpeg))
    return Result(name, quality, size, decoded, len(jpeg), picture, written - start, done - written)


def cells(photo: Image.Image, result: Result) -> list[str]:
    rate = bpp(result.size, photo.width * photo.height)
    ours = [f"{psnr(photo, result.decoded):.2f}", f"{ms_ssim(photo, result.decoded):.4f}"]
    jpeg = [f"{psnr(photo, result.jpeg):.2f}", f"{ms_ssim(photo, result.jpeg):.4f}"]
    times = [f"{result.encode_seconds:.2f}", f"{result.decode_seconds:.2f}"]
    first = [result.photo, f"{result.quality:g}", f"{result.size:,}", f"{rate:.3f}"]
    return [*first, *ours, f"{result.jpeg_size:,}", *jpeg, *times]


def panels_of(photo: Image.Image, result: Result, crop: Crop) -> list[Panel]:
    return [
        Panel(crop.of(photo), f"original {result.photo}"),
        Panel(crop.of(result.decoded), f"Barycode, {result.size:,} bytes"),
        Panel(crop.of(result.jpeg), f"JPEG, {result.jpeg_size:,} bytes"),
    ]


if __name__ == "__main__":
    main()
