"""The published configuration on our network: vectors against scalars, with histograms and with contexts.

    python experiments/vectors/run.py --data FOLDER

One unit of work is a step and a shape; its rows are kept in results.json, so that an interrupted run goes on
where it stopped. Plot and README.md are written from the rows. --fresh starts again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from bands import CLASSES, Material, Scene, Shape, group_name, join, materials, open_scene, unpatch
from in_codec import SHAPES, codec_rows
from PIL import Image
from report import write_report

from barycode.cli.batch import progress_bar
from barycode.cli.program import run_script
from barycode.container import write_atomic
from barycode.evaluation import metrics
from barycode.images import decompress
from barycode.images.codec import compress_at
from barycode.images.model import ImageModel
from barycode.images.registry import find_model
from barycode.images.slices import DC_BANDS, SLICES
from barycode.images.steps import step_of
from barycode.images.tile import Setting, encode_tile
from barycode.images.transform import BLOCK, Synthesis
from barycode.rate.entropy_constrained import VectorCoder, begin, fit, with_rows
from barycode.training.datasets import data_folder, open_pictures

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SIZES: dict[Shape, int] = {(1, 1): 61, (1, 2): 256, (2, 2): 1000}
STEP_INDICES = (16, -4)
SHIPPED_INDICES = (-12, -4, 4, 16, 28)  # where the shipped codec is measured, to meet the same bytes
TRAINING_PICTURES, CROP, TRAINING_VECTORS = 48, 384, 50_000
TEST_PICTURES = slice(0, 24, 6)
PHOTOS = 160
SEED = 0
ITERATIONS = {"histogram": 8, "contexts": 4}


@dataclass(frozen=True)
class Group:
    """Coders of one group of bands, what they cost on the vectors they were trained on, and what they chose
    for the test pictures (in one sequence).
    """

    coders: dict[str, VectorCoder]
    training_costs: dict[str, float]
    chosen: dict[str, torch.Tensor]


def train(vectors: torch.Tensor, rows: torch.Tensor, size: int, rate_weight: float) -> dict[str, VectorCoder]:
    """The coder with a plain histogram, and from there the one with a table for every context row."""
    plain = torch.zeros_like(rows)
    histogram = fit(begin(vectors, size, rate_weight, SEED), vectors, plain, ITERATIONS["histogram"])
    start = with_rows(histogram, histogram.choose(vectors, plain), rows, 2 * CLASSES)
    return {"histogram": histogram, "contexts": fit(start, vectors, rows, ITERATIONS["contexts"])}


def rows_for(coding: str, rows: torch.Tensor) -> torch.Tensor:
    return rows if coding == "contexts" else torch.zeros_like(rows)


def learn_group(training: Material, test: Material, size: int, rate_weight: float) -> Group:
    """Train on a seeded draw of the training vectors, and choose for all of the test vectors."""
    drawn = torch.randperm(len(training.rows), generator=torch.Generator().manual_seed(SEED))
    drawn = drawn[:TRAINING_VECTORS]
    vectors, rows = training.vectors[drawn], training.rows[drawn]
    coders = train(vectors, rows, size, rate_weight)
    costs, chosen = {}, {}
    for coding, coder in coders.items():
        costs[coding] = coder.cost(vectors, rows_for(coding, rows))
        chosen[coding] = coder.choose(test.vectors, rows_for(coding, test.rows))
    return Group(coders, costs, chosen)


def group_rows(name: str, group: Group, test: Material) -> list[dict[str, Any]]:
    """Real bytes and squared error (in squared steps) of one group on the test pictures, for each coding."""
    found = []
    for coding, coder in group.coders.items():
        indices = group.chosen[coding]
        size = len(coder.encode(indices, rows_for(coding, test.rows)))
        error = float((test.vectors - coder.centers[indices]).double().square().sum())
        found.append(
            {
                "group": name,
                "coding": coding,
                "centers": len(coder.centers),
                "used": int(indices.unique().numel()),
                "coefficients": test.vectors.numel(),
                "bytes": size,
                "squared_error": round(error, 3),
                "cost": round((error + coder.rate_weight * 8 * size) / test.vectors.numel(), 6),
                "training_cost": round(group.training_costs[coding], 6),
                "table_bytes": len(coder.tables.to_bytes()),
                "codebook_bytes": 2 * coder.centers.numel(),
            }
        )
    return found


def place_codes(decoder: Any, points: torch.Tensor) -> torch.Tensor:
    """Codes (192, h, w) that the decoder's own reconstruction moves onto these points, in steps."""
    shift = decoder.centroids.shift * decoder.centroids.cells
    one, more = shift[:, 0, None, None], shift[:, 1, None, None]
    magnitude = points.abs()
    far, near = magnitude - more, magnitude - one
    codes = torch.where(far >= 1.5, far, torch.where(near > 0.5, near.clamp(max=1.499), magnitude))
    return codes * points.sign()


@torch.inference_mode()
def decode_points(model: ImageModel, points: torch.Tensor, index: int) -> np.ndarray:
    """uint8 pixels of points (192, h, w) in steps, through the shipped decoder."""
    step = torch.tensor([step_of(index)])
    steps = step[:, None, None, None]
    return _to_bytes(model.decoder(place_codes(model.decoder, points)[None], steps, step)[0])


@torch.inference_mode()
def invert(points: torch.Tensor, index: int) -> np.ndarray:
    """uint8 pixels of the same points through the inverse lapped transform alone, without any network."""
    return _to_bytes(Synthesis()(points[None] * step_of(index))[0])


def _to_bytes(pixels: torch.Tensor) -> np.ndarray:
    return pixels.round().clamp(0, 255).permute(1, 2, 0).to(torch.uint8).numpy()


def whole_pictures(
    model: ImageModel, scenes: Sequence[tuple[str, Image.Image, Scene]], groups: Sequence[Group], shape: Shape
) -> list[dict[str, Any]]:
    """Every test picture with all AC bands in `shape` and a histogram a group; DC by the codec itself."""
    found, taken = [], 0
    for name, image, scene in scenes:
        size = (scene.codes.shape[1], scene.codes.shape[2])
        points, bytes_ = _dc(model, scene)
        blocks = size[0] * size[1] // (shape[0] * shape[1])
        for known, group in zip(SLICES, groups, strict=True):
            coder, count = group.coders["histogram"], blocks * len(known.bands)
            start = taken * len(known.bands)
            indices = group.chosen["histogram"][start : start + count]
            bytes_ += len(coder.encode(indices, torch.zeros_like(indices)))
            points[list(known.bands)] = unpatch(coder.centers[indices], size, shape)
        taken += blocks
        original = np.asarray(image)[: size[0] * BLOCK, : size[1] * BLOCK]
        decoded, plain = (
            pixels[: original.shape[0], : original.shape[1]]
            for pixels in (decode_points(model, points, scene.index), invert(points, scene.index))
        )
        row = _picture_row(name, bytes_, original, decoded)
        found.append({**row, "psnr_transform": round(metrics.psnr(original, plain), 4)})
    return found


def shipped_rows(model: ImageModel, pictures: Sequence[tuple[str, Image.Image]]) -> list[dict[str, Any]]:
    """The shipped scalar codec: whole files at every index."""
    found = []
    for name, image in pictures:
        for index in SHIPPED_INDICES:
            data = compress_at(image, index, model)
            row = _picture_row(name, len(data), np.asarray(image), np.asarray(decompress(data)))
            found.append({"kind": "shipped", "index": index, **row})
    return found


def _dc(model: ImageModel, scene: Scene) -> tuple[torch.Tensor, int]:
    """Points with DC as the codec reconstructs it and AC zero, and DC's bytes (with a bit an empty AC
    slice).
    """
    alone = torch.zeros_like(scene.ratios)
    alone[list(DC_BANDS)] = scene.ratios[list(DC_BANDS)]
    data = encode_tile(
        model, alone * step_of(scene.index), Setting(scene.index), model.config.rate_weight
    ).payload
    points = torch.zeros_like(scene.ratios)
    points[list(DC_BANDS)] = scene.codes[list(DC_BANDS)]  # centroids already
    return points, len(data)


def _picture_row(name: str, size: int, original: np.ndarray, decoded: np.ndarray) -> dict[str, Any]:
    return {
        "picture": name,
        "bytes": size,
        "pixels": original.shape[0] * original.shape[1],
        "psnr": round(metrics.psnr(original, decoded), 4),
    }


def measure_unit(
    model: ImageModel,
    training: Sequence[Image.Image],
    test: Sequence[tuple[str, Image.Image]],
    index: int,
    shape: Shape,
    advance: Callable[[], None],
) -> list[dict[str, Any]]:
    """All rows of one step and one shape."""
    learned = [materials(model, open_scene(model, image, index), shape) for image in training]
    scenes = [(name, image, open_scene(model, image, index)) for name, image in test]
    seen = [materials(model, scene, shape) for _, _, scene in scenes]
    unit = {"index": index, "shape": f"{shape[0]}x{shape[1]}"}
    found, groups = [], []
    for number in range(len(SLICES)):
        material = join([m[number] for m in seen])
        group = learn_group(
            join([m[number] for m in learned]), material, SIZES[shape], model.config.rate_weight
        )
        found += [{"kind": "group", **unit, **row} for row in group_rows(group_name(number), group, material)]
        groups.append(group)
        advance()
    return found + [
        {"kind": "picture", **unit, **row} for row in whole_pictures(model, scenes, groups, shape)
    ]


def training_crops(folder: Path) -> list[Image.Image]:
    """The middles of evenly spread training photos."""
    pictures = open_pictures(folder / "train_photos.tar")
    chosen = pictures[:: max(1, len(pictures) // TRAINING_PICTURES)][:TRAINING_PICTURES]
    return [_middle(image) for image in chosen]


def _middle(image: Image.Image) -> Image.Image:
    width, height = (min(CROP, size) for size in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def main(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: BARYCODE_DATA.")] = None,
    fresh: Annotated[bool, typer.Option(help="Forget the rows that there are.")] = False,
) -> None:
    """Measure what is missing, then write plot and report."""
    folder = data_folder(data)
    model = find_model("photo")
    name = model.fingerprint.hex()
    rows = [] if fresh else kept_rows(name)
    kodak = open_pictures(folder / "kodak")[TEST_PICTURES]
    test = list(zip(kodak.names, [image.convert("RGB") for image in kodak], strict=True))
    done = {(row["index"], row["shape"]) for row in rows if row["kind"] == "group"}
    units = [(i, s) for i in STEP_INDICES for s in SIZES if (i, f"{s[0]}x{s[1]}") not in done]
    training = training_crops(folder) if units else []
    with progress_bar() as bar:
        task = bar.add_task("groups of bands", total=len(units) * len(SLICES))
        for index, shape in units:
            found = measure_unit(model, training, test, index, shape, lambda: bar.advance(task))
            rows += [{"model": name, **row} for row in found]
            save(rows)
    if not any(row["kind"] == "shipped" for row in rows):
        rows += [{"model": name, **row} for row in shipped_rows(model, test)]
        save(rows)
    if not any(row["kind"] == "file" for row in rows):
        rows += [{"model": name, **row} for row in inside(model, folder, test)]
        save(rows)
    write_report(rows, model.config.rate_weight, HERE)


def inside(model: ImageModel, folder: Path, test: Sequence[tuple[str, Image.Image]]) -> list[dict[str, Any]]:
    """Code vectors in the codec: fitted to one half of some training photos, chosen by the other."""
    pictures = open_pictures(folder / "train_photos.tar")
    photos = list(pictures[:: max(1, len(pictures) // PHOTOS)])
    with progress_bar() as bar:
        task = bar.add_task("shapes in the codec", total=2 * len(SHAPES) + 3)
        return codec_rows(model, photos[::2], photos[1::2], test, lambda: bar.advance(task))


def kept_rows(model: str) -> list[dict[str, Any]]:
    """The rows that there are of this model: those of another one do not mix with them."""
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return [row for row in rows if row["model"] == model]


def save(rows: Sequence[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_atomic(RESULTS, f"[\n{lines}\n]\n".encode(), force=True)


if __name__ == "__main__":
    run_script(main)
