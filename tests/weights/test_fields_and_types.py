"""Which types split into which fields: a reader refuses the others before it reads their symbols."""

from typing import Any

import pytest
import torch

from barycode.container import ByteReader
from barycode.errors import CorruptFileError
from barycode.weights.file_format.directory import Entry
from barycode.weights.file_format.items import read_item
from barycode.weights.file_format.number_formats import DTYPES

FIELDS, INTEGERS = 8, 10
IN_FIELDS = {"float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"}
IN_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype is not None], ids=str)
@pytest.mark.parametrize(("method", "names"), [(FIELDS, IN_FIELDS), (INTEGERS, IN_INTEGERS)])
def test_only_types_that_split_are_read(method: int, names: set[str], dtype: Any) -> None:
    def read(*shape: int) -> object:
        return read_item(ByteReader(b""), method, Entry("t", shape, dtype), [])

    if dtype in {getattr(torch, name) for name in names}:
        assert read(4, 5)
        with pytest.raises(CorruptFileError, match=r"'t', .* of 0 entries"):
            read(4, 0)
    else:
        with pytest.raises(CorruptFileError, match="has not the fields"):
            read(4, 5)
