"""Checkpoints of nested states, in safetensors: nothing in them can run code when they are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from barycode.container.atomic import replacing
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.training.progress import tell

TENSOR_KEY = "__tensor__"
INTEGER_KEYS = "__integer_keys__"
SKELETON = "barycode_state"
# What json and torch raise of files that nobody wrote: wrong keys, extents beyond 64 bits, endless nesting.
_MALFORMED = (KeyError, ValueError, TypeError, RuntimeError, RecursionError)


@dataclass(frozen=True)
class Checkpoints:
    """The numbered checkpoints of one run, in one folder; only the newest `keep` stay.

    A state is anything made of dicts, lists, tensors, numbers, strings and None, such as a dict of the
    state_dicts of model, optimizer and schedules together with the random generator's state.
    """

    folder: Path
    keep: int = 2

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state at `step`, whole or not at all, then delete the checkpoints that are too old."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.safetensors"
        save_state(path, state)
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def latest(self) -> tuple[int, dict[str, Any]] | None:
        """The newest step that can be read, and its state, or None; what is damaged is told."""
        found = self.newest_sound()
        return None if found is None else (int(found[0].stem.removeprefix("step-")), found[1])

    def newest_sound(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be read, and its state, or None; what is damaged is told."""
        for path in reversed(self.paths()):
            try:
                return path, load_state(path)
            except CorruptFileError as error:
                tell(f"{error} Going on from an older one, or from the start.")
        return None

    def paths(self) -> list[Path]:
        """Of the checkpoints, the oldest first."""
        return sorted(self.folder.glob("step-????????.safetensors"))


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nested state as one safetensors file: tensors, and the JSON that holds them as metadata.

    OSError where the disk does not take it; what was there before stays.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = json.dumps(_take_apart(state, tensors))
    with replacing(path, force=True) as partial:
        try:
            save_file(tensors, partial, metadata={SKELETON: skeleton})
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} cannot be written ({error}).") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read what save_state wrote; CorruptFileError if it did not."""
    try:
        tensors = load_file(path)
        with safetensors.safe_open(path, framework="pt") as file:
            skeleton = json.loads((file.metadata() or {})[SKELETON])
        state: dict[str, Any] = _put_together(skeleton, tensors)
    except (safetensors.SafetensorError, *_MALFORMED) as error:
        raise CorruptFileError(f"{path} is not a checkpoint ({error}).") from error
    return state


def _take_apart(value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case Tensor():
            name = str(len(tensors))
            # A copy: safetensors refuses tensors that share memory.
            tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {TENSOR_KEY: name}
        case Mapping():
            return _take_mapping_apart(value, tensors)
        case str() | int() | float() | None:
            return value
        case Sequence():
            return [_take_apart(item, tensors) for item in value]
    raise InvalidInputError(
        f"a checkpoint holds dicts, lists, tensors, numbers and strings, not {type(value).__name__}."
    )


def _take_mapping_apart(value: Mapping[Any, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    # JSON would turn the integer keys of an optimizer's state into strings.
    integers = bool(value) and all(isinstance(key, int) for key in value)
    if not integers and not all(isinstance(key, str) for key in value):
        raise InvalidInputError("a checkpoint's dicts have only strings or only integers as keys.")
    inside = {str(key): _take_apart(item, tensors) for key, item in value.items()}
    return {INTEGER_KEYS: inside} if integers else inside


def _put_together(value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case {"__tensor__": str(name)}:
            return tensors[name]
        case {"__integer_keys__": dict(inside)}:
            return {int(key): _put_together(item, tensors) for key, item in inside.items()}
        case dict():
            return {key: _put_together(item, tensors) for key, item in value.items()}
        case list():
            return [_put_together(item, tensors) for item in value]
    return value
