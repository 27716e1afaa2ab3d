"""Decode the .bary files of a folder under some settings of PyTorch, and save what came out as arrays.

`python decode_everything.py FOLDER SETTING ...` writes SETTING.npz, and SETTING-after.npz of decoding once
more with the setting undone. Every setting has its own copy of the pictures' model, loaded under it.
"""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from barycode.images import decompress as decompress_picture
from barycode.weights import decompress as decompress_network


@contextlib.contextmanager
def undone(change: Callable, value: object, before: object) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(before)


SETTINGS: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
    "plain": contextlib.nullcontext,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "meta": lambda: torch.device("meta"),
    "float64": lambda: undone(torch.set_default_dtype, torch.float64, torch.float32),
    "denormals": lambda: undone(torch.set_flush_denormal, True, False),
    "deterministic": lambda: undone(torch.use_deterministic_algorithms, True, False),
    "matmul": lambda: undone(torch.set_float32_matmul_precision, "medium", "highest"),
    "threads": lambda: undone(torch.set_num_threads, 4, 1),
}


def decode(folder: Path, model: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("picture-*.bary")):
        arrays[path.stem] = np.asarray(decompress_picture(path.read_bytes(), model=model))
    for path in sorted(folder.glob("network-*.bary")):
        for name, tensor in decompress_network(path.read_bytes()).items():
            bits = tensor.detach().contiguous().flatten().view(torch.uint8)
            arrays[f"{path.stem}.{name}"] = bits.numpy()
    return arrays


def main(folder: Path, settings: list[str]) -> None:
    torch.set_num_threads(1)
    for setting in settings:
        model = folder / f"{setting}.safetensors"
        shutil.copy(folder / "model.safetensors", model)
        with SETTINGS[setting]():
            during = decode(folder, model)
        np.savez(folder / f"{setting}.npz", **during)
        np.savez(folder / f"{setting}-after.npz", **decode(folder, model))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
