"""One picture that shows what the figures mean: crops side by side, enlarged without smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from barycode.errors import InvalidInputError

MARGIN = 8
FONT_SIZE = 18


@dataclass(frozen=True)
class Panel:
    """A picture and what is written under it."""

    image: Image.Image
    caption: str


@dataclass(frozen=True)
class Crop:
    """Where to look: the left upper corner and the size, in pixels, and how many times to enlarge."""

    left: int
    top: int
    width: int = 200
    height: int = 150
    zoom: int = 2

    def of(self, image: Image.Image) -> Image.Image:
        """The enlarged crop; every pixel becomes a square of zoom x zoom."""
        box = (self.left, self.top, self.left + self.width, self.top + self.height)
        if self.left < 0 or self.top < 0 or box[2] > image.width or box[3] > image.height:
            raise InvalidInputError(
                f"the crop {box} does not lie inside a picture of {image.width}x{image.height}."
            )
        size = (self.width * self.zoom, self.height * self.zoom)
        return image.convert("RGB").crop(box).resize(size, Image.Resampling.NEAREST)


def side_by_side(rows: Sequence[Sequence[Panel]]) -> Image.Image:
    """Panels in rows on white, their captions under them; cells are as large as the largest panel."""
    if not rows or not all(rows):
        raise InvalidInputError("side_by_side needs at least one panel in every row.")
    width = max(panel.image.width for row in rows for panel in row)
    height = max(panel.image.height for row in rows for panel in row)
    font = ImageFont.load_default(FONT_SIZE)
    cell = (width + MARGIN, height + FONT_SIZE + 2 * MARGIN)
    sheet = Image.new("RGB", (cell[0] * max(map(len, rows)) + MARGIN, cell[1] * len(rows) + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            corner = (MARGIN + x * cell[0], MARGIN + y * cell[1])
            sheet.paste(panel.image, corner)
            draw.text((corner[0], corner[1] + height + MARGIN // 2), panel.caption, fill="black", font=font)
    return sheet
