"""The picture codec: seconds for a 768x512 photo at each quality, and peak memory at 24 megapixels.

    python benchmarks/pictures.py --output benchmarks/results/pictures.json

Photos are those that the repository ships; the large picture is made of them. Memory is that of a whole
process, Python and model included, one process for each direction.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from barycode.benchmarks.timing import quartiles, report, save, take_turns
from barycode.images import compress, decompress

PHOTOS = Path(__file__).parents[1] / "examples/photos"
QUALITIES = (1, 2, 3, 4, 5)
LARGE = (6000, 4000)
MODEL = "photo"


def speed(rounds: int) -> list[dict[str, Any]]:
    """Seconds of encoding, decoding, and both, at each quality, over photos and rounds; the model is open."""
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.png"))]
    rows = []
    for quality in QUALITIES:
        encode: list[float] = []
        decode: list[float] = []
        for photo in photos:
            data = compress(photo, quality=quality, model=MODEL)
            times = take_turns(
                {
                    "encode": partial(compress, photo, quality=quality, model=MODEL),
                    "decode": partial(decompress, data),
                },
                rounds,
            )
            encode += times["encode"]
            decode += times["decode"]
        both = [a + b for a, b in zip(encode, decode, strict=True)]
        row = {"encode": quartiles(encode), "decode": quartiles(decode), "both": quartiles(both)}
        rows.append({"what": "768x512", "quality": quality, **row})
        print(row, flush=True)
    return rows


def memory() -> list[dict[str, Any]]:
    """Megabytes at most, and seconds, of the command line on a 24-megapixel picture."""
    with tempfile.TemporaryDirectory() as folder:
        source, packed, back = (Path(folder) / name for name in ("large.png", "large.bary", "back.png"))
        large().save(source, compress_level=1)
        rows = []
        for command in (
            ["compress", str(source), "--output", str(packed), "--model", MODEL],
            ["decompress", str(packed), "--output", str(back)],
        ):
            megabytes, seconds = peak_of(command)
            rows.append(
                {"what": "24 megapixels", "command": command[0], "megabytes": megabytes, "seconds": seconds}
            )
            print(rows[-1], flush=True)
        return rows


def large() -> Image.Image:
    """The shipped photos side by side until the picture is full."""
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.png"))]
    picture = Image.new("RGB", LARGE)
    width, height = photos[0].size
    places = [(x, y) for y in range(0, LARGE[1], height) for x in range(0, LARGE[0], width)]
    for number, place in enumerate(places):
        picture.paste(photos[number % len(photos)].resize((width, height)), place)
    return picture


def peak_of(command: list[str]) -> tuple[float, float]:
    """Peak resident megabytes and seconds of one run of the command line (Linux)."""
    code = (
        "import resource, subprocess, sys, time; start = time.perf_counter(); "
        "subprocess.run([sys.executable, '-m', 'barycode', *sys.argv[1:]], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, time.perf_counter() - start)"
    )
    found = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    megabytes, seconds = map(float, found.stdout.split())
    return round(megabytes), round(seconds, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = speed(arguments.rounds) + memory()
    if arguments.output:
        save(arguments.output, report(rows, ("pillow", "constriction"), rounds=arguments.rounds))


if __name__ == "__main__":
    main()
