"""Compressed networks as a whole: into a state dict, or straight into a module."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.plain_torch import plain_torch
from barycode.weights.deltas import refuse_difference
from barycode.weights.file_format.number_formats import FLOATS
from barycode.weights.file_format.reader import DEFAULT_LIMIT, NetworkReader, tied_again
from barycode.weights.network_file import NetworkFile, Where, open
from barycode.weights.workers import Workers


def load(
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: Where = "cpu",
    limit: int | None = DEFAULT_LIMIT,
    workers: int = 1,
) -> dict[str, Tensor]:
    """All tensors of a compressed network by name, in order; tied ones are the same object. See `open`.

    Several `workers` are processes of their own: call it under `if __name__ == "__main__":` then.
    """
    tensors: dict[str, Tensor] = {}
    with Path(path).open("rb") as stream, Workers(workers) as processes, plain_torch(), torch.no_grad():
        reader = NetworkReader(stream, limit, processes)
        refuse_difference(reader.directory.metadata)
        for block, values in reader.blocks():
            entry = block.entry
            if entry.name not in tensors:
                wanted = dtype if dtype is not None and entry.dtype in FLOATS else entry.dtype
                tensors[entry.name] = torch.empty(entry.shape, dtype=wanted, device=device)
            rows = tensors[entry.name].view(block.shape)
            (rows[block.start : block.stop] if block.shape else rows).copy_(values)
    return tied_again(reader.directory, tensors)


def load_into(
    module: nn.Module,
    path: str | Path,
    *,
    strict: bool = True,
    device: Where = "cpu",
    limit: int | None = DEFAULT_LIMIT,
) -> tuple[list[str], list[str]]:
    """Read a compressed network straight into a module; the names that the file lacks, and those too many.

    Parameters and buffers keep their types, devices and ties and are filled block by block, so that the
    network is never in memory twice; those on the meta device get memory on `device`. Everything is compared
    first: InvalidInputError, and a module as it was, where a shape differs or, if `strict`, a name. As
    torch's `load_state_dict` does, batches that normalisation has counted may be missing: checkpoints of
    before PyTorch 0.4.1 have no such count.
    """
    with open(path, limit=limit) as file:
        wanted = {
            name: tensor
            for name, tensor in module.state_dict(keep_vars=True).items()
            if isinstance(tensor, Tensor)
        }
        counts = {name for name in wanted if name.rpartition(".")[2] == "num_batches_tracked"}
        missing = [name for name in wanted if name not in file and name not in counts]
        unexpected = [name for name in file if name not in wanted]
        if strict and (missing or unexpected):
            raise InvalidInputError(
                f"{path} and the module differ: {_named(missing)} not in the file, {_named(unexpected)} not "
                "in the module. Pass strict=False to load what both have."
            )
        shared = [name for name in wanted if name in file]
        for name in shared:
            shape = tuple(file.get_slice(name).get_shape())
            if shape != tuple(wanted[name].shape):
                raise InvalidInputError(
                    f"{name!r} has the shape {shape} in {path} and {tuple(wanted[name].shape)} in the module."
                )
        _fill(module, file, {name: wanted[name] for name in shared}, torch.device(device))
        for name in counts - set(shared):
            if wanted[name].is_meta:
                _replace(module, name, torch.zeros_like(wanted[name], device=device))
    return missing, unexpected


def _fill(module: nn.Module, file: NetworkFile, tensors: dict[str, Tensor], device: torch.device) -> None:
    made: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        known = made.get(id(tensor))
        target = _with_memory(tensor, device) if known is None else known
        if known is None:
            file.read_into(name, target.data)
            made[id(tensor)] = target
        if target is not tensor:
            _replace(module, name, target)


def _with_memory(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor itself or, for one on the meta device, one that can hold it."""
    if not tensor.is_meta:
        return tensor
    real = torch.empty_like(tensor, device=device)
    return nn.Parameter(real, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else real


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, own = name.rpartition(".")
    owner = module.get_submodule(path)
    slots: dict[str, Any] = owner._parameters if isinstance(tensor, nn.Parameter) else owner._buffers
    slots[own] = tensor


def _named(names: list[str], most: int = 3) -> str:
    shown = ", ".join(repr(name) for name in names[:most]) + (" ..." if len(names) > most else "")
    return f"{len(names)} names ({shown})" if names else "nothing"
