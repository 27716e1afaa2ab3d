"""The picture codec beside AVIF: processor time for 768x512 photos at each quality, and whole processes on
large ones with their peaks of memory.

    python benchmarks/pictures.py --output benchmarks/results/pictures.json

Photos are those that the repository ships; large pictures are made of them. AVIF is libavif at speed 6 on one
thread, the anchor of the reports. Codecs take turns in one process; large pictures have one process for each
direction, Python and model included, beside AVIF's time in this one.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from barycode.benchmarks.timing import process_cost, quartiles, ratios, report, save, take_turns
from barycode.evaluation.anchors import anchors_of
from barycode.images import compress, decompress

PHOTOS = Path(__file__).parents[1] / "examples/photos"
QUALITIES = (1, 2, 3, 4, 5, 6)
LARGE = ((4000, 3000), (6000, 4000))
MODEL = "photo"
AVIF, AVIF_QUALITY = anchors_of("avif")[0], 50


def speed(rounds: int) -> list[dict[str, Any]]:
    """Seconds at each quality over photos and rounds, the model being open, and each step over AVIF's
    encoding.
    """
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.png"))]
    rows = []
    for quality in QUALITIES:
        seconds: dict[str, list[float]] = {}
        for photo in photos:
            data = compress(photo, quality=quality, model=MODEL)
            methods = {
                "avif": partial(AVIF.encode, photo, AVIF_QUALITY),
                "encode, effort 0": partial(compress, photo, quality=quality, model=MODEL, effort=0),
                "encode": partial(compress, photo, quality=quality, model=MODEL),
                "decode": partial(decompress, data),
            }
            for name, times in take_turns(methods, rounds).items():
                seconds.setdefault(name, []).extend(times)
        row = {
            "quality": quality,
            "seconds": {name: quartiles(times) for name, times in seconds.items()},
            "over_avif": ratios(seconds, "avif"),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def large_pictures() -> list[dict[str, Any]]:
    """Processor time and peak memory of the command line, and its time over AVIF's encoding of the same."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder) / name for name in ("large.png", "large.bary", "back.png"))
        for size in LARGE:
            picture = large(size)
            picture.save(source, compress_level=1)
            avif = take_turns({"avif": partial(AVIF.encode, picture, AVIF_QUALITY)}, 2)["avif"]
            for name, arguments in (
                ("compress --effort 0", ["compress", str(source), "--output", str(packed), "--effort", "0"]),
                ("decompress", ["decompress", str(packed), "--output", str(back)]),
            ):
                cost = process_cost(["-m", "barycode", *arguments, "--force"])
                if cost.status:
                    raise SystemExit(f"barycode {name} ended with status {cost.status}")
                row = {
                    "megapixels": size[0] * size[1] / 1e6,
                    "command": name,
                    "megabytes": round(cost.peak_bytes / 2**20),
                    "seconds": round(cost.seconds, 2),
                    "over_avif": round(cost.seconds / min(avif), 2),
                }
                print(row, flush=True)
                rows.append(row)
    return rows


def large(size: tuple[int, int]) -> Image.Image:
    """The shipped photos side by side until the picture is full."""
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.png"))]
    picture = Image.new("RGB", size)
    width, height = photos[0].size
    places = [(x, y) for y in range(0, size[1], height) for x in range(0, size[0], width)]
    for number, place in enumerate(places):
        picture.paste(photos[number % len(photos)].resize((width, height)), place)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = speed(arguments.rounds) + large_pictures()
    if arguments.output:
        save(arguments.output, report(rows, ("pillow", "constriction"), rounds=arguments.rounds))


if __name__ == "__main__":
    main()
