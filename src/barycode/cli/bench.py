"""`barycode bench`: how fast the picture codec is on this machine."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from barycode.cli import pictures
from barycode.cli.extras import extra

if TYPE_CHECKING:
    from PIL import Image

SIZE = (768, 512)


def main(
    picture: Annotated[
        Path | None, typer.Argument(help="A picture; without one, a synthetic 768x512.")
    ] = None,
    quality: Annotated[float, typer.Option("--quality", "-q", min=1, max=8)] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each step is timed.")] = 5,
) -> None:
    """Time encoding and decoding beside JPEG and WebP, interleaved so that ratios hold on a busy machine.

    For example:

    - `barycode bench`

    - `barycode bench photo.png --rounds 11`
    """
    with extra("evaluation"):
        from barycode.evaluation.anchors import JPEG, WEBP
        from barycode.evaluation.barycode_codec import barycode_codec
    image = _rgb(picture) if picture else synthetic(SIZE)
    steps: dict[str, Callable[[], object]] = {}
    for codec, setting in ((barycode_codec(), quality), (JPEG, 50), (WEBP, 50)):
        steps[f"{codec.name} encode"] = partial(codec.encode, image, setting)
        steps[f"{codec.name} decode"] = partial(codec.decode, codec.encode(image, setting))
    _print(time_interleaved(steps, rounds), image)


def _rgb(path: Path) -> "Image.Image":
    with pictures.open_picture(path) as image:
        return image.convert("RGB")


def synthetic(size: tuple[int, int]) -> "Image.Image":
    """A picture with edges, gradients and noise, the same on every machine."""
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[: size[1], : size[0]]
    noise = np.random.default_rng(0).integers(-12, 13, (size[1], size[0], 3))
    planes = np.stack([x * 255 // size[0], y * 255 // size[1], ((x // 32 + y // 32) % 2) * 160 + 40], -1)
    return Image.fromarray(np.clip(planes + noise, 0, 255).astype(np.uint8))


def time_interleaved(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each step over rounds in which every step has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _print(medians: dict[str, float], image: "Image.Image") -> None:
    table = Table(title=f"{image.width}x{image.height}, medians")
    for heading in ("step", "seconds", "megapixels a second", "ratio to the first"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    first = next(iter(medians.values()))
    for name, seconds in medians.items():
        speed = image.width * image.height / 1e6 / seconds
        table.add_row(name, f"{seconds:.4f}", f"{speed:.2f}", f"{seconds / first:.3f}")
    Console().print(table)
