"""Screens, diagrams, gradients and noise to train on beside photos: drawn from a seed, as many as asked for.

    python experiments/kodak/training/draw_screens.py FOLDER --words a-long-text.txt

Fonts are the TrueType fonts of the machine, so the pictures differ between machines, in kind not at all.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from barycode.cli.program import run_script
from barycode.errors import MissingDataError

SIDE = 448
FONTS = Path("/usr/share/fonts/truetype")
COUNTS = {"page": 90, "dialog": 110, "diagram": 70, "gradient": 50, "noise": 15}
Colour = tuple[int, ...]


class Pen:
    """Random colours, fonts and words."""

    def __init__(self, seed: int, fonts: list[Path], words: list[str]) -> None:
        self.random = random.Random(seed)
        self._fonts, self._words = fonts, words

    def colour(self, low: int = 0, high: int = 255) -> Colour:
        return tuple(self.random.randint(low, high) for _ in range(3))

    def font(self, low: int, high: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(self.random.choice(self._fonts), self.random.randint(low, high))

    def sentence(self, count: int) -> str:
        first = self.random.randrange(len(self._words) - count)
        return " ".join(self._words[first : first + count])

    def place(self, side: int) -> tuple[int, int]:
        return self.random.randint(-20, side), self.random.randint(-20, side)

    def noise(self, shape: tuple[int, ...], deviation: float) -> np.ndarray:
        return np.random.default_rng(self.random.randrange(1 << 30)).normal(0, deviation, shape)


def page(pen: Pen) -> Image.Image:
    """Lines of text, dark on light or light on dark."""
    paper = pen.random.choice([(255, 255, 255), (30, 30, 30), pen.colour(200, 255), pen.colour(0, 60)])
    dark = sum(paper) < 380
    image = Image.new("RGB", (SIDE, SIDE), paper)
    draw, y = ImageDraw.Draw(image), pen.random.randint(0, 20)
    font, ink = pen.font(9, 22), pen.colour(180, 255) if dark else pen.colour(0, 80)
    while y < SIDE:
        if pen.random.random() < 0.1:
            font, ink = pen.font(9, 34), pen.colour(150, 255) if dark else pen.colour(0, 120)
        draw.text((pen.random.choice([8, 8, 8, 30]), y), pen.sentence(pen.random.randint(2, 12)), ink, font)
        y += int(font.size * pen.random.uniform(1.1, 1.9))
    return image


def dialog(pen: Pen) -> Image.Image:
    """Overlapping boxes, lines and labels, as programs draw them."""
    base = pen.random.randint(30, 245)
    image = Image.new("RGB", (SIDE, SIDE), (base,) * 3)
    draw = ImageDraw.Draw(image)
    for _ in range(pen.random.randint(12, 40)):
        (x, y), width, height = pen.place(SIDE), pen.random.randint(10, 260), pen.random.randint(8, 120)
        box = (x, y, x + width, y + height)
        fill = pen.random.choice([(max(0, min(255, base + pen.random.randint(-40, 40))),) * 3, pen.colour()])
        kind = pen.random.choice(["box", "box", "round", "circle", "line", "text", "text", "text"])
        if kind == "box":
            draw.rectangle(box, fill, pen.random.choice([None, pen.colour()]))
        elif kind == "round":
            draw.rounded_rectangle(box, pen.random.randint(2, 12), fill)
        elif kind == "circle":
            draw.ellipse((x, y, x + height, y + height), fill)
        elif kind == "line":
            draw.line((x, y, x + width, y), pen.colour(), pen.random.randint(1, 3))
        else:
            ink = pen.random.choice([(0, 0, 0), (255, 255, 255), pen.colour()])
            draw.text((x, y), pen.sentence(pen.random.randint(1, 5)), ink, pen.font(9, 18))
    return image


def diagram(pen: Pen) -> Image.Image:
    """Polygons and curves with smooth edges, or with hard ones."""
    side = 2 * SIDE
    image = Image.new("RGB", (side, side), pen.random.choice([(255, 255, 255), pen.colour(220, 255)]))
    draw = ImageDraw.Draw(image)
    for _ in range(pen.random.randint(6, 30)):
        points = [pen.place(side) for _ in range(pen.random.randint(3, 6))]
        kind, (x, y), radius = pen.random.randrange(4), points[0], pen.random.randint(8, 200)
        if kind == 0:
            draw.polygon(points, pen.colour())
        elif kind == 1:
            draw.line(points, pen.colour(), pen.random.randint(1, 9))
        elif kind == 2:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), None, pen.colour(), 3)
        else:
            draw.text((x, y), pen.sentence(pen.random.randint(1, 4)), pen.colour(), pen.font(18, 50))
    hard = pen.random.random() < 0.3
    return image.crop((0, 0, SIDE, SIDE)) if hard else image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def gradient(pen: Pen) -> Image.Image:
    """From one colour to another, along a line or around a point, sometimes with faint noise."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    angle = pen.random.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    if pen.random.random() < 0.4:
        along = np.hypot(x - pen.random.random(), y - pen.random.random())
    along = (along - along.min()) / (along.max() - along.min())
    first, last = np.array(pen.colour()), np.array(pen.colour())
    if pen.random.random() < 0.5:
        last = first + [pen.random.randint(-40, 40) for _ in range(3)]
    deviation = pen.random.choice([0, 0, 0.5, 1.5])
    pixels = first + (last - first) * along[..., None] + pen.noise((SIDE, SIDE, 3), deviation)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def noise(pen: Pen) -> Image.Image:
    """A gradient under strong noise, grey or coloured, sharp or soft."""
    shape = (SIDE, SIDE, pen.random.choice([1, 3]))
    pixels = np.asarray(gradient(pen)) + pen.noise(shape, pen.random.uniform(4, 30))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    soft = ImageFilter.GaussianBlur(pen.random.uniform(0.3, 1))
    return pen.random.choice([image, image.filter(soft)])


KINDS: dict[str, Callable[[Pen], Image.Image]] = {
    "page": page, "dialog": dialog, "diagram": diagram, "gradient": gradient, "noise": noise,
}  # fmt: skip


def main(
    folder: Annotated[Path, typer.Argument(help="Where the PNG files go.")],
    words: Annotated[Path, typer.Option(help="A text to take words from.")],
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
) -> None:
    """Draw them."""
    fonts = sorted(FONTS.rglob("*.ttf"))
    if not fonts:
        raise MissingDataError(f"There are no TrueType fonts in {FONTS}: install some, like fonts-dejavu.")
    pen = Pen(seed, fonts, words.read_text().split())
    folder.mkdir(parents=True, exist_ok=True)
    for kind, count in COUNTS.items():
        for number in range(count):
            KINDS[kind](pen).save(folder / f"{kind}-{number:03d}.png")
    typer.echo(f"{sum(COUNTS.values())} pictures in {folder}")


if __name__ == "__main__":
    run_script(main)
