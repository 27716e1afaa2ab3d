"""`barycode bench`: how fast things are on this machine."""

import enum
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from barycode.cli import pictures
from barycode.cli.extras import extra
from barycode.cli.jobs import require_there

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

SIZE = (768, 512)
MEGABYTES = 16


class What(enum.StrEnum):
    """The tables that can be measured."""

    PICTURES = "pictures"
    QUANTIZERS = "quantizers"
    NEAREST = "nearest"
    NETWORKS = "networks"
    START_UP = "start-up"


def main(
    what: Annotated[What, typer.Argument(help="Which table to measure.")] = What.PICTURES,
    picture: Annotated[
        Path | None, typer.Option(help="A picture for `pictures`; without one, a synthetic 768x512.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A network for `networks`; without one, made-up weights of 17 MB.")
    ] = None,
    quality: Annotated[float, typer.Option("--quality", "-q", min=1, max=8)] = 3.0,
    rounds: Annotated[int, typer.Option(min=2, help="How often each method is timed.")] = 5,
    vectors: Annotated[
        int | None,
        typer.Option(min=1, help="Vectors for `quantizers` and `nearest`, instead of the table's."),
    ] = None,
) -> None:
    """Measure a table of benchmarks/README.md on this machine, in turns, so that ratios hold on a busy one.

    - `pictures`: encoding and decoding beside JPEG and WebP

    - `quantizers`: layers in training beside plain blocks, and vector-quantize-pytorch where installed

    - `nearest`: nearest code vectors beside a matrix product, and faiss where installed

    - `networks`: checkpoints, lossy and lossless, beside Zstandard

    - `start-up`: what commands cost before they have done anything

    For example:

    - `barycode bench`

    - `barycode bench pictures --picture photo.png --rounds 11`

    - `barycode bench quantizers --vectors 4096`

    - `barycode bench networks --checkpoint model.safetensors`
    """
    require_there(picture, checkpoint)
    tables: dict[What, Callable[[], None]] = {
        What.PICTURES: lambda: _pictures(_rgb(picture) if picture else synthetic(SIZE), quality, rounds),
        What.QUANTIZERS: lambda: _quantizers(rounds, vectors),
        What.NEAREST: lambda: _nearest(rounds, vectors),
        What.NETWORKS: lambda: _networks(rounds, checkpoint),
        What.START_UP: lambda: _start_up(rounds),
    }
    tables[what]()


def _pictures(image: "Image.Image", quality: float, rounds: int) -> None:
    with extra("evaluation"):
        from barycode.evaluation.anchors import JPEG, WEBP
        from barycode.evaluation.barycode_codec import barycode_codec
    from barycode.benchmarks.timing import Method, quartiles, ratios, take_turns

    methods: dict[str, Method] = {}
    for codec, setting in ((barycode_codec(), quality), (JPEG, 50), (WEBP, 50)):
        methods[f"{codec.name} encode"] = partial(codec.encode, image, setting)
        methods[f"{codec.name} decode"] = partial(codec.decode, codec.encode(image, setting))
    times = take_turns(methods, rounds)
    first = next(iter(times))
    over = {first: [1.0, 1.0, 1.0], **ratios(times, first)}
    rows = []
    for name, values in times.items():
        seconds = quartiles(values)[0]
        speed = image.width * image.height / 1e6 / seconds
        rows.append([name, f"{seconds:.4f}", f"{speed:.2f}", _ratio(over[name])])
    heading = ["step", "seconds", "megapixels a second", f"time over {first}"]
    _print(f"{image.width}x{image.height}", heading, rows)


def _quantizers(rounds: int, vectors: int | None) -> None:
    from rich.progress import track

    from barycode.benchmarks.quantizer_layers import DIM, REFERENCE, SIZE, VECTORS, Shape, layers, row

    shape = Shape(vectors or VECTORS, DIM, SIZE)
    names = list(layers(Shape(16, DIM, 2)))
    found = [row(shape, backward, rounds, names) for backward in track((False, True), "Layers")]
    cells = [
        [name, *(_ratio(part["time_over_reference"].get(name, [1.0, 1.0, 1.0])) for part in found)]
        for name in names
    ]
    title = f"{shape.n} vectors of {shape.dim}, {shape.size} code vectors: time over {REFERENCE}"
    _print(title, ["layer", *(part["what"] for part in found)], cells)


def _nearest(rounds: int, vectors: int | None) -> None:
    from rich.progress import track

    from barycode.benchmarks.nearest_codes import SHAPES, measure

    shapes = [(vectors or n, dim, size) for n, dim, size in SHAPES]
    found = [measure(shape, rounds) for shape in track(shapes, "Shapes")]
    names = list(found[0]["time_over_barycode"])
    cells = [_nearest_row(part, names) for part in found]
    _print("Nearest code vectors: time over Barycode's", ["N, d, K", "Barycode, ms", *names], cells)


def _nearest_row(part: dict[str, Any], names: list[str]) -> list[str]:
    shape = ", ".join(str(part[field]) for field in ("vectors", "dim", "codebook_size"))
    over = part["time_over_barycode"]
    return [shape, f"{part['barycode_ms'][0]:.2f}", *(_ratio(over[name]) for name in names)]


def _networks(rounds: int, checkpoint: Path | None) -> None:
    from rich.progress import track

    from barycode.benchmarks.networks import made_up, measure, programs

    state = _state(checkpoint) if checkpoint else made_up(MEGABYTES)
    found = [measure(*program, state, rounds) for program in track(programs(state), "Programs")]
    cells = [
        [
            part["what"],
            f"{part['bits_per_weight']:.2f}",
            *(_ratio(part["speeds"][way]) for way in ("in", "out")),
        ]
        for part in found
    ]
    size = sum(tensor.nbytes for tensor in state.values()) / 1e6
    _print(
        f"{size:.1f} MB of tensors", ["program", "bits a weight", "MB a second in", "MB a second out"], cells
    )


def _start_up(rounds: int) -> None:
    from barycode.benchmarks.start_up import REFERENCE, measure

    with TemporaryDirectory() as name, Console(stderr=True).status(f"{rounds + 1} rounds of a few seconds"):
        synthetic((64, 48)).save(Path(name) / "photo.png")
        found = measure(rounds, Path(name))
    cells = [
        [row["command"], _ratio(row["seconds"]), _ratio(row["time_over_reference"]), str(row["megabytes"])]
        for row in found
    ]
    heading = ["command", "seconds of processor time", f"over {REFERENCE}", "MB"]
    _print("Whole processes", heading, cells)


def _state(checkpoint: Path) -> "dict[str, Tensor]":
    from barycode.weights.checkpoints.files import open_source

    source = open_source(checkpoint)
    return {entry.name: source.load(entry.name) for entry in source.directory.entries}


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


def _ratio(values: list[float]) -> str:
    """Median, and the quartiles in brackets."""
    return f"{values[0]:g}" if values[1] == values[2] else f"{values[0]:g} [{values[1]:g}, {values[2]:g}]"


def _print(title: str, heading: list[str], rows: list[list[str]]) -> None:
    import torch

    table = Table(title=f"{title}; {torch.get_num_threads()} thread(s), medians [quartiles]")
    for place, name in enumerate(heading):
        table.add_column(name, justify="right" if place else "left")
    for cells in rows:
        table.add_row(*cells)
    Console().print(table)
