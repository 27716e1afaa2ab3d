"""JSON from strangers into dataclasses: nothing is built before all keys, types and bounds are checked.

The dataclass is the schema. Its annotations say the types (dataclasses, `tuple[X, ...]`, `tuple[X, Y]`, str,
bool, int, float), and `Annotated[int, Between(1, 512)]` the bounds: of a number, or of the length of a text
or a tuple. Unknown, missing and repeated keys are refused, and so are numbers that are not finite; only
fields with a default and `metadata={"optional": True}` may be missing. `metadata={"key": ...}` is what a
field is called in the JSON, where that is not its name.
"""

import json
import math
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from barycode.errors import CorruptFileError, InvalidInputError

T = TypeVar("T")
MAX_DEPTH = 16


@dataclass(frozen=True)
class Between:
    """Bounds, both included, of a number or of a length."""

    low: float
    high: float


def parse_json(text: str | bytes, name: str) -> Any:
    """JSON of bounded depth, without repeated keys and without NaN; CorruptFileError names what it is."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{name} is not JSON that can be read: {_short(error)}") from error
    if _depth(value) > MAX_DEPTH:
        raise CorruptFileError(
            f"{name} is nested more than {MAX_DEPTH} levels deep: it is damaged or hostile."
        )
    return value


def from_json(kind: type[T], value: Any, name: str) -> T:
    """A dataclass from parsed JSON; CorruptFileError says what of `name` is not as it must be."""
    result: T = _read(kind, value, name)
    return result


def to_json(value: Any) -> Any:
    """What `from_json` makes the same dataclass of."""
    if is_dataclass(value):
        return {_key(field): to_json(getattr(value, field.name)) for field in fields(value)}
    return [to_json(each) for each in value] if isinstance(value, tuple) else value


def _read(kind: Any, value: Any, name: str) -> Any:
    if get_origin(kind) is Annotated:
        inner, *bounds = get_args(kind)
        return _bounded(_read(inner, value, name), bounds, name)
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_fields(kind, value, name)
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), value, name)
    return _read_plain(kind, value, name)


def _read_fields(kind: type, value: Any, name: str) -> Any:
    known = {_key(field): field for field in fields(kind)}
    if not isinstance(value, dict):
        raise _wrong(name, "an object with the keys " + ", ".join(known), value)
    absent = [key for key, field in known.items() if key not in value and not _may_be_missing(field)]
    for key in [*value.keys() - known.keys(), *absent]:
        raise CorruptFileError(
            f"{name} {'lacks' if key in absent else 'has'} the key {key[:40]!r}: "
            + (f"expected the keys {', '.join(known)}.")
        )
    hints = get_type_hints(kind, include_extras=True)
    try:
        return kind(
            **{
                known[key].name: _read(hints[known[key].name], each, f"{name}, {key}")
                for key, each in value.items()
            }
        )
    except InvalidInputError as error:
        raise CorruptFileError(f"{name} cannot be: {error}") from error


def _key(field: Field) -> str:
    key: str = field.metadata.get("key", field.name)
    return key


def _may_be_missing(field: Field) -> bool:
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return has_default and bool(field.metadata.get("optional"))


def _read_tuple(kinds: tuple[Any, ...], value: Any, name: str) -> tuple:
    if not isinstance(value, list):
        raise _wrong(name, "a list", value)
    if kinds[-1] is ...:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _wrong(name, f"a list of {len(kinds)}", value)
    return tuple(
        _read(kind, each, f"{name}, {i}") for i, (kind, each) in enumerate(zip(kinds, value, strict=True))
    )


def _read_plain(kind: Any, value: Any, name: str) -> Any:
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _wrong(
            name, {str: "a text", bool: "true or false", int: "an integer"}.get(kind, "a number"), value
        )
    return value


def _bounded(value: Any, bounds: list[Between], name: str) -> Any:
    measure = len(value) if isinstance(value, str | tuple) else value
    for bound in bounds:
        if not bound.low <= measure <= bound.high:
            length = "of length " if isinstance(value, str | tuple) else ""
            raise CorruptFileError(f"{name} is {length}{measure}: expected {bound.low} to {bound.high}.")
    return value


def _wrong(name: str, expected: str, value: Any) -> CorruptFileError:
    return CorruptFileError(f"{name} is {_short(value)}: expected {expected}.")


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("it repeats a key.")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"it has the number {text}.")


def _depth(value: Any) -> int:
    """Levels of nesting, without recursion."""
    depth, level = 0, [value]
    while level:
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [below for each in nested for below in (each.values() if isinstance(each, dict) else each)]
        depth += bool(nested)
    return depth
