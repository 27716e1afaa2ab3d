"""Parquet tables with a column of files, as data sets of pictures are often kept."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from barycode.corpora.portions import Portion
from barycode.corpora.samples import Part, Sample
from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError

ROWS_AT_A_TIME = 64


def cut_table(path: str, stamp: str, count: int, column: str = "") -> Iterator[Portion]:
    """Portions of whole row groups, of `count` rows or the group that reaches them; if it is damaged,
    the whole table.
    """
    try:
        table = _open(path)
    except CorruptFileError:  # what is wrong is told by those who read it
        yield Portion("table", (path,), (stamp,))
        return
    column = column or _column_of_files(table, path)
    if column not in table.schema_arrow.names:
        raise InvalidInputError(f"{path} has no column {column!r}: it has {_names(table)}.")
    kind = table.schema_arrow.field(column).type
    if not _holds_files(kind):
        raise InvalidInputError(f"The column {column!r} of {path} holds {kind}, expected bytes of files.")
    first, rows = 0, 0
    for group in range(table.num_row_groups):
        rows += table.metadata.row_group(group).num_rows
        if rows >= count or group + 1 == table.num_row_groups:
            yield Portion("table", (path,), (stamp,), first=first, last=group + 1, column=column)
            first, rows = group + 1, 0


def read_table(portion: Portion) -> Iterator[Sample]:
    """Keys are the file's name and the number of the row; the other columns go into a .json beside."""
    path = portion.paths[0]
    table = _open(path)
    groups = range(portion.first, portion.last if portion.last is not None else table.num_row_groups)
    number = sum(table.metadata.row_group(group).num_rows for group in range(portion.first))
    for batch in table.iter_batches(ROWS_AT_A_TIME, row_groups=list(groups)):
        for row in batch.to_pylist():
            yield _sample(portion, number, row)
            number += 1


def _sample(portion: Portion, number: int, row: dict[str, Any]) -> Sample:
    path, value = portion.paths[0], row.pop(portion.column)
    data, name = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    parts = [Part(Path(name or "").suffix or _suffix(data or b""), data or b"")]
    if row:
        parts.append(Part(".json", json.dumps(row, default=_plain).encode()))
    inside = PurePath(path).relative_to(portion.root or PurePath(path).parent)
    key = f"{inside.with_name(inside.stem.replace('.', '_')).as_posix()}-{number:09d}"
    return Sample(key, f"row {number} of {path}", tuple(parts))


def _plain(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _suffix(data: bytes) -> str:
    """Networks have names; of pictures Pillow looks at the first bytes, whatever they are called."""
    return ".safetensors" if data[8:9] == b"{" else ".png"


def _open(path: str) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingDataError("Parquet files need pyarrow: pip install 'barycode[corpora]'.") from error
    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise CorruptFileError(f"{path} is not a readable Parquet file ({error}).") from error


def _column_of_files(table: Any, path: str) -> str:
    """The only column of files."""
    found = [field.name for field in table.schema_arrow if _holds_files(field.type)]
    if len(found) != 1:
        raise InvalidInputError(
            f"{path} has {len(found)} columns of bytes among {_names(table)}: name the one to compress, "
            "with --column."
        )
    return str(found[0])


def _holds_files(kind: Any) -> bool:
    """Bytes, by themselves or as {bytes, path}."""
    from pyarrow import types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _names(table: Any) -> str:
    return ", ".join(table.schema_arrow.names)
