"""Compressed networks tensor by tensor, in the shape that safetensors' users know."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch
from torch import Tensor

from barycode.errors import InvalidInputError
from barycode.plain_torch import plain_torch
from barycode.weights.deltas import refuse_difference
from barycode.weights.file_format.directory import Directory, Entry
from barycode.weights.file_format.number_formats import FLOATS
from barycode.weights.file_format.parts import Parts, Piece
from barycode.weights.file_format.reader import DEFAULT_LIMIT

Where = str | torch.device


class NetworkFile:
    """An open `.bary` file: keys, metadata, one tensor, some of its rows, each decoded when it is asked for.

    What comes out is on `device` and, where it is of real floats, of the type `dtype` (None: as it was).
    Beyond the tensor asked for, memory is bounded by one part of the file, 2^20 entries.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        dtype: torch.dtype | None = None,
        device: Where = "cpu",
        limit: int | None = DEFAULT_LIMIT,
    ) -> None:
        self._stream = stream
        with plain_torch():
            self._parts = Parts(stream, limit)
        refuse_difference(self._parts.directory.metadata)
        self._entries = {entry.name: entry for entry in self.directory.entries}
        self._dtype, self._device = dtype, torch.device(device)
        self._last: tuple[int, list[Tensor]] | None = None

    def __enter__(self) -> "NetworkFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read of it stays."""
        self._last = None
        self._stream.close()

    def keys(self) -> list[str]:
        """The names of all tensors, in order."""
        return list(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def metadata(self) -> dict[str, str]:
        """The texts that came with the tensors."""
        return dict(self.directory.metadata)

    def get_tensor(self, name: str) -> Tensor:
        """A tensor as a whole; InvalidInputError where there is none of that name."""
        return self._rows(self._entry(name), None)

    def get_slice(self, name: str) -> "TensorSlice":
        """A tensor of which only the rows are decoded that are asked for by indexing it."""
        return TensorSlice(self, self._entry(name))

    def read_into(self, name: str, target: Tensor) -> None:
        """Fill a tensor of the same shape, of any type and device, block by block.

        Raises InvalidInputError for another shape, and for a name that the file does not have.
        """
        entry = self._entry(name)
        if tuple(target.shape) != entry.shape:
            raise InvalidInputError(
                f"The tensor {name!r} has the shape {entry.shape}: a tensor of {tuple(target.shape)} "
                "cannot take it."
            )
        if target.is_contiguous():
            self._copy(self._pieces(entry), target, 0)
        else:
            with torch.no_grad():
                target.copy_(self._rows(entry, None))

    @property
    def directory(self) -> Directory:
        """Names, shapes, types and ties of all tensors."""
        return self._parts.directory

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise InvalidInputError(f"The file has no tensor {name!r}: keys() gives the names it has.")
        return self._entries[name]

    def _pieces(self, entry: Entry) -> list[Piece]:
        origin = entry if entry.tied_to is None else self.directory.entries[entry.tied_to]
        return self._parts.pieces(origin.name)

    def _rows(self, entry: Entry, wanted: range | None) -> Tensor:
        """Some rows of a tensor, or all of it; only the blocks are decoded that they are in."""
        shape = entry.shape if wanted is None else (len(wanted), *entry.shape[1:])
        dtype = self._dtype if self._dtype is not None and entry.dtype in FLOATS else entry.dtype
        result = torch.empty(shape, dtype=dtype, device=self._device)
        pieces, first = self._pieces(entry), 0
        if wanted is not None and result.numel():
            inner = pieces[0].block.shape[0] // entry.shape[0]  # rows of the blocks in one of the tensor
            first, last = wanted.start * inner, wanted.stop * inner
            pieces = [piece for piece in pieces if piece.block.start < last and piece.block.stop > first]
        self._copy(pieces, result, first)
        return result

    @torch.no_grad()
    def _copy(self, pieces: Iterable[Piece], target: Tensor, first: int) -> None:
        """Copy blocks to a contiguous tensor that starts with row `first`, as blocks count rows."""
        if not target.numel():
            return
        for piece in pieces:
            block, values = piece.block, self._decoded(piece)
            if not block.shape:
                target.copy_(values)
                continue
            rows = target.view(-1, *block.shape[1:])
            start, stop = max(block.start - first, 0), min(block.stop - first, len(rows))
            rows[start:stop].copy_(values[start + first - block.start : stop + first - block.start])

    def _decoded(self, piece: Piece) -> Tensor:
        """Its values; the part that was decoded last is kept, since small tensors share one."""
        if self._stream.closed:
            raise InvalidInputError("The file is closed: read tensors inside the with block.")
        if self._last is None or self._last[0] != piece.part:
            self._last = None  # before the next is there
            with plain_torch():
                self._last = piece.part, self._parts.decode(piece.part)
        return self._last[1][piece.place]


class TensorSlice:
    """A tensor that is not decoded before it is indexed: `rows = file.get_slice(name)[2:5]`."""

    def __init__(self, file: NetworkFile, entry: Entry) -> None:
        self._file = file
        self._entry = entry

    def get_shape(self) -> list[int]:
        """Of the whole tensor, as safetensors says it."""
        return list(self._entry.shape)

    def get_dtype(self) -> torch.dtype:
        """The type in the file."""
        return self._entry.dtype

    def __getitem__(self, index: Any) -> Tensor:
        """What `tensor[index]` gives; of the first extent, a number or a range decodes only its rows."""
        first, *others = index if isinstance(index, tuple) and index else (index,)
        known = self._entry.shape
        if known and isinstance(first, slice) and (first.step or 1) > 0:
            start, stop, step = first.indices(known[0])
            rows = self._file._rows(self._entry, range(start, max(start, stop)))
            return rows[(slice(None, None, step), *others)]
        if known and isinstance(first, int) and not isinstance(first, bool):
            if not -known[0] <= first < known[0]:
                raise IndexError(f"row {first} of {self._entry.name!r}, which has {known[0]}")
            row = first % known[0]
            return self._file._rows(self._entry, range(row, row + 1))[(0, *others)]
        return self._file.get_tensor(self._entry.name)[index]


def open(
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: Where = "cpu",
    limit: int | None = DEFAULT_LIMIT,
) -> NetworkFile:
    """Open a compressed network, to read it tensor by tensor; best in a with block.

    `limit` is how many bytes the tensors may have together, None any number. Raises FileNotFoundError,
    LimitError, CorruptFileError, and UnsupportedFileError for files of another kind.
    """
    stream = Path(path).open("rb")  # noqa: SIM115 (the result closes it)
    try:
        return NetworkFile(stream, dtype=dtype, device=device, limit=limit)
    except BaseException:
        stream.close()
        raise
