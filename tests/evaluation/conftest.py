import numpy as np
import pytest
from PIL import Image

from barycode.evaluation.rate_distortion import Codec, Picture, Row
from barycode.evaluation.report import Comparison


def smooth_picture(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 60 * np.sin(x / a) + 60 * np.cos(y / b) for a, b in ((9, 14), (17, 8), (25, 31))]
    return Image.fromarray(np.stack(waves, -1).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def picture() -> Picture:
    return Picture("waves", smooth_picture(192, 176))


@pytest.fixture(scope="session")
def small_picture() -> Picture:
    return Picture("small", smooth_picture(48, 40))


@pytest.fixture(scope="session")
def codec():
    """Make a codec of that name which is only described, never run."""
    return lambda name: Codec(
        name, f"how {name} was run", (1, 2, 3, 4), lambda image, setting: b"", Image.open
    )


@pytest.fixture(scope="session")
def curve():
    """Make four rows of a codec on a picture, at some factor times 0.1, 0.2, 0.4 and 0.8 bpp."""

    def rows(name: str, picture: str, factor: float) -> list[Row]:
        points = zip(
            (1, 2, 3, 4),
            (0.1, 0.2, 0.4, 0.8),
            (28, 31, 34, 37),
            (0.9, 0.95, 0.98, 0.99),
            (40, 55, 70, 80),
            strict=True,
        )
        return [
            Row(
                name,
                picture,
                s,
                round(r * factor * 125_000),
                1_000_000,
                255**2 / 10 ** (q / 10),
                m,
                0.2,
                0.1,
                p,
            )
            for s, r, q, m, p in points
        ]

    return rows


@pytest.fixture
def comparison(codec, curve) -> Comparison:
    """Ours at half and at a quarter of JPEG's rate, on one picture each."""
    pairs = (("x", 2), ("y", 4))
    rows = [row for p, factor in pairs for row in curve("Ours", p, 1) + curve("JPEG", p, factor)]
    return Comparison("Two pictures", rows, [codec("Ours")], [codec("JPEG")])
