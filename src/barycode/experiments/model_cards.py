"""Cards of the shipped picture models: everything in them is read from a model's file or from rows."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from barycode.evaluation.rate_distortion import Codec, Row, load_rows
from barycode.evaluation.report import Comparison, bd_table
from barycode.evaluation.summary import means
from barycode.images.codec import compress, decompress
from barycode.images.model import ImageModel
from barycode.images.registry import SHIPPED

INTRODUCTION = """\
# Models

What is inside the models that come with the package: read from their files, and from the
rows of [the experiment](../experiments/kodak) that measured them, by `python experiments/kodak/cards.py`. A
picture names its model by the first four bytes of the SHA-256 of the model's file.
"""


@dataclass(frozen=True)
class Measured:
    """Where rows are: a folder for each key of `sets`, whose value is the set's title."""

    folder: Path
    sets: Mapping[str, str]

    def comparison(self, key: str, model: str, title: str, identity: str) -> Comparison | None:
        """A model among the anchors; None where this very file has not been measured."""
        ours = self.folder / key / f"barycode-{model}-{identity}.json"
        if not ours.exists():
            return None
        others = [path for path in sorted(ours.parent.glob("*.json")) if "barycode-" not in path.name]
        anchors = [row for path in others for row in load_rows(path)]
        names = dict.fromkeys(row.codec for row in anchors)
        return Comparison(
            self.sets[key], [*anchors, *load_rows(ours)], [_codec(title)], [_codec(name) for name in names]
        )


def model_cards(titles: Mapping[str, str], measured: Measured, data: Path) -> str:
    """The page: a card for each model, whose title in the rows is the value of `titles`."""
    known = tomllib.loads(data.read_text())
    cards = [_card(name, title, measured, known["sets"]) for name, title in titles.items()]
    return "\n\n".join([INTRODUCTION.strip(), *cards, "## Not for", known["not_for"]]).rstrip() + "\n"


def _card(name: str, title: str, measured: Measured, sets: list[dict]) -> str:
    content = (SHIPPED / f"{name}.safetensors").read_bytes()
    model = ImageModel.from_bytes(content, name)
    parts = [f"## {name}", _facts(model, content), "### Trained on", _trained_on(name, sets)]
    parts += ["### Measured", _figures(name, title, model.fingerprint.hex(), measured)]
    return "\n\n".join(parts)


def _facts(model: ImageModel, content: bytes) -> str:
    config = model.config
    weights = {part: sum(p.numel() for p in model.get_submodule(part).parameters()) for part in PARTS}
    rows = [
        ("file", f"{len(content):,} bytes"),
        ("SHA-256", f"`{hashlib.sha256(content).hexdigest()}`"),
        *((PARTS[part], f"{count:,} weights") for part, count in weights.items()),
        ("frequency tables", " x ".join(map(str, model.tables.counts.shape)) + " integers"),
        ("step indices of the qualities 1 to 8", ", ".join(map(str, config.qualities))),
        ("lambda, squared error in steps that a bit is worth", f"{config.rate_weight:g}"),
        (
            "steps",
            "the same everywhere" if config.policy.is_uniform else "follow the activity of the picture",
        ),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


PARTS = {
    "analysis": "transform",
    "decoder": "decoder network",
    "contexts.dc": "contexts of DC, integers",
    "contexts.ac": "contexts of AC, integers",
}


def _trained_on(name: str, sets: list[dict]) -> str:
    lines = [
        f"- **{entry['name']}**: {entry['what']}. {entry['terms']}"
        for entry in sets
        if name in entry["models"]
    ]
    return "\n".join([*lines, "", "[Recipes and logs](../experiments/kodak/training/README.md)."])


def _figures(name: str, title: str, identity: str, measured: Measured) -> str:
    found = {key: measured.comparison(key, name, title, identity) for key in measured.sets}
    parts = []
    for key, comparison in found.items():
        if comparison is not None:
            tested = comparison.tested[0]
            place = f"**[{comparison.title}](../experiments/kodak/{key}/report.md)**"
            what = f"{place}, {comparison.pictures} pictures"
            ours = [row for row in comparison.rows if row.codec == title]
            parts += [
                f"{what}:",
                _curve(ours),
                "BD-rates; negative is smaller than the anchor at equal quality:",
            ]
            parts += [bd_table(comparison.figures(tested))]
    return "\n\n".join(parts) or "Not yet: there are no rows of this file."


def _curve(rows: list[Row]) -> str:
    lines = ["| quality | bits a pixel | PSNR | MS-SSIM |", "| --- | --- | --- | --- |"]
    for mean in means(rows):
        similarity = "-" if mean.ms_ssim is None else f"{mean.ms_ssim:.4f}"
        lines.append(f"| {mean.setting:g} | {mean.bpp:.3f} | {mean.psnr:.2f} | {similarity} |")
    return "\n".join(lines)


def _codec(name: str) -> Codec:
    """A codec that is only known by its rows."""
    return Codec(name, "", (), lambda image, quality: compress(image, quality=quality), decompress)
