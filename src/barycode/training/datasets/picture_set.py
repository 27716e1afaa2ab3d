"""The one type that every reader returns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from barycode.errors import InvalidInputError

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PictureSet(Sequence[Image.Image]):
    """Named RGB pictures by position, decoded when they are asked for.

    labels: class numbers (len(names),), where the data set has classes.
    """

    names: tuple[str, ...]
    read: Callable[[int], Image.Image]
    labels: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        return self.read(range(len(self))[index])

    def subset(self, positions: Sequence[int]) -> "PictureSet":
        """The pictures at these positions, still unread."""
        labels = None if self.labels is None else tuple(self.labels[i] for i in positions)
        chosen = tuple(positions)
        return PictureSet(tuple(self.names[i] for i in chosen), lambda i: self.read(chosen[i]), labels)

    def array(self, size: tuple[int, int] | None = None) -> Images:
        """All pictures as uint8 (N, height, width, 3), resized bilinearly to `size` (width, height).

        Raises InvalidInputError for pictures of several sizes without it.
        """
        pictures = [
            picture if size is None else picture.resize(size, Image.Resampling.BILINEAR) for picture in self
        ]
        shapes = {picture.size for picture in pictures}
        if len(shapes) > 1:
            raise InvalidInputError(
                f"pictures of {len(shapes)} sizes make no array; pass size=(width, height)."
            )
        return np.stack([np.asarray(picture) for picture in pictures])

    def __iter__(self) -> Iterator[Image.Image]:
        return (self.read(i) for i in range(len(self)))


def picture_array(images: Images, labels: Sequence[int] | None = None) -> PictureSet:
    """Pictures held in memory as uint8 (N, height, width, 3), named by their positions."""
    names = tuple(str(i) for i in range(len(images)))
    return PictureSet(names, lambda i: Image.fromarray(images[i]), None if labels is None else tuple(labels))
