"""How pictures are to be compressed, as it was said on the command line."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from barycode.cli.extras import extra
from barycode.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL import Image

    from barycode.images import Target


FAR_BELOW = "as fine as it gets: far below the size asked for"
FILLED = 0.9  # of a size: an index of the steps is two percent, more of what is small


@dataclass(frozen=True)
class Wanted:
    """At most one of these: a quality, or what the file is to come to."""

    quality: float | None = None
    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    ssimulacra2: float | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in vars(self).values()) > 1:
            raise InvalidInputError(
                "Give one of --quality, --size, --bpp, --psnr and --ssimulacra2, not several."
            )

    def resolve(self) -> "float | Target":
        """What `barycode.images.compress` takes as `quality`."""
        from barycode.images import DEFAULT_QUALITY, BitsPerPixel, Likeness, Psnr, Size

        if self.size is not None:
            return Size(self.size)
        if self.bpp is not None:
            return BitsPerPixel(self.bpp)
        if self.psnr is not None:
            return Psnr(self.psnr)
        if self.ssimulacra2 is not None:
            with extra("evaluation"):
                from barycode.evaluation.metrics import ssimulacra2
            return Likeness(self.ssimulacra2, ssimulacra2)
        return DEFAULT_QUALITY if self.quality is None else self.quality


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are compressed; None for what was not said."""

    wanted: Wanted
    effort: int | None
    model: str | None
    strip: bool
    flatten: bool

    def refuse_network(self, name: str) -> None:
        """Raise InvalidInputError where something was asked for that a network does not have."""
        if asked := self.asked():
            raise InvalidInputError(f"{name} is a network: {' and '.join(asked)} goes with pictures.")

    def asked(self) -> list[str]:
        """The options that were given and are for pictures only."""
        given = vars(self.wanted) | {"effort": self.effort, "model": self.model}
        given |= {"strip": self.strip or None, "flatten": self.flatten or None}
        return [f"--{key}" for key, value in given.items() if value is not None and key != "size"]

    def _is_far_below(self, data: bytes) -> bool:
        """Whether a picture that was to come to a size has the finest steps, and is far smaller."""
        if self.wanted.size is None or len(data) > FILLED * self.wanted.size:
            return False
        from barycode.container import unpack
        from barycode.images.codec import read_header
        from barycode.images.steps import INDEX_RANGE

        return read_header(unpack(data)).index == INDEX_RANGE[0]

    def compress(self, image: "Image.Image") -> tuple[bytes, list[str]]:
        """The picture as the bytes of a .bary file, and what is to be told: what its file has that is not in
        them, a size that is far from filled.
        """
        from barycode.images import compress, left_out
        from barycode.images.refinement import DEFAULT_EFFORT
        from barycode.images.registry import DEFAULT

        notes = left_out(image)
        data = compress(
            image,
            quality=self.wanted.resolve(),
            effort=DEFAULT_EFFORT if self.effort is None else self.effort,
            model=self.model or DEFAULT,
            strip=self.strip,
            flatten=self.flatten,
        )
        return data, notes + ([FAR_BELOW] if self._is_far_below(data) else [])
