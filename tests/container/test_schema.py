"""Dataclasses from JSON and back."""

from dataclasses import dataclass, field

import pytest

from barycode.container.schema import from_json, to_json
from barycode.errors import CorruptFileError


@dataclass(frozen=True)
class Inner:
    size: int = field(default=1, metadata={"key": "k"})


@dataclass(frozen=True)
class Outer:
    rate: float = field(metadata={"key": "lambda"})
    inner: tuple[Inner, ...] = ()
    name: str = field(default="none", metadata={"optional": True})


def test_fields_may_be_called_otherwise_in_the_json():
    value = Outer(0.5, (Inner(2), Inner(3)), "x")
    stored = {"lambda": 0.5, "inner": [{"k": 2}, {"k": 3}], "name": "x"}
    assert to_json(value) == stored
    assert from_json(Outer, stored, "it") == value


@pytest.mark.parametrize("key", ["rate", "lambda"])
def test_the_name_of_the_field_is_then_no_key(key):
    with pytest.raises(CorruptFileError, match=r"it (has the key 'rate'|lacks the key 'lambda')"):
        from_json(Outer, {"inner": [], **({key: 0.5} if key == "rate" else {})}, "it")
