"""Files and shards of `.bary` as data sets."""

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from barycode.container import EXTENSION
from barycode.data.tensors import pixels
from barycode.errors import BarycodeError, MissingDataError

Decode = Callable[[bytes], Tensor]


class BaryDataset(Dataset[Tensor]):
    """One tensor a `.bary` file, for `torch.utils.data.DataLoader`.

    source: a folder, with the folders in it, in the order of their names; or the files.
    decode: what makes a tensor of a file's bytes: `pixels`, `picture_codes`, a function of yours that crops,
    or for codes of an autoencoder `functools.partial(unpack_codes, quantizer)`.

    `paths` are the files, in the order of the items. Raises MissingDataError where there are none; an item
    that cannot be decoded raises its error with the name of the file.
    """

    def __init__(self, source: str | Path | Iterable[str | Path], decode: Decode = pixels) -> None:
        if isinstance(source, str | Path):
            self.paths = sorted(path for path in Path(source).rglob(f"*{EXTENSION}") if path.is_file())
        else:
            self.paths = [Path(path) for path in source]
        if not self.paths:
            raise MissingDataError(
                f"There is no {EXTENSION} file in {source}: make some with `barycode compress FOLDER`, and "
                "read shards (.tar) by WebDataset with `webdataset_decoder`."
            )
        self.decode = decode

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            return self.decode(path.read_bytes())
        except BarycodeError as error:
            raise type(error)(f"{path}: {error}") from error


def webdataset_decoder(decode: Decode = pixels) -> Callable[[str, bytes], Tensor | None]:
    """What `webdataset.WebDataset(shards).decode(...)` asks for: `.bary` members become tensors by `decode`,
    as in BaryDataset, and all others are left to the next decoder.
    """

    def handler(key: str, data: bytes) -> Tensor | None:
        return decode(data) if key.lower().endswith(EXTENSION) else None

    return handler
