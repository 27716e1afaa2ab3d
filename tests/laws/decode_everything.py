"""Decode the .bary files of a folder under some settings of PyTorch, encode what came out of networks and of
codes again, and save all of it as arrays.

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

from barycode.images import compress as compress_picture
from barycode.images import decompress as decompress_picture
from barycode.quantizers import (
    FiniteScalarQuantizer,
    Quantizer,
    ResidualQuantizer,
    SoftConvexQuantizer,
    SparseCode,
    VectorQuantizer,
)
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from barycode.weights import Lossless, Step
from barycode.weights import compress as compress_network
from barycode.weights import decompress as decompress_network
from scenes import scene


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


QUANTIZERS: dict[str, Callable[[], Quantizer]] = {
    "vector": lambda: VectorQuantizer(16, 4),
    "residual": lambda: ResidualQuantizer(16, 4, stages=3),
    "grid": lambda: FiniteScalarQuantizer(2**13, 5),  # more than one table has room for: coded by digits
    "sparse": lambda: SoftConvexQuantizer(16, 4, code=SparseCode(2, 4)),
}


def quantizer_of(name: str) -> Quantizer:
    """One of QUANTIZERS, always the same."""
    torch.manual_seed(0)
    return QUANTIZERS[name]()


def decode(folder: Path, model: Path, quantizers: dict[str, Quantizer]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, quantizer in quantizers.items():
        indices = unpack_codes(quantizer, (folder / f"codes-{name}.bary").read_bytes())
        arrays[f"codes-{name}"] = indices.numpy()
        arrays[f"encoded-codes-{name}"] = as_array(pack_codes(quantizer, indices))
    for path in sorted(folder.glob("picture-*.bary")):
        arrays[path.stem] = np.asarray(decompress_picture(path.read_bytes(), model=model))
    for path in sorted(folder.glob("network-*.bary")):
        tensors = decompress_network(path.read_bytes())
        for name, tensor in tensors.items():
            bits = tensor.detach().contiguous().flatten().view(torch.uint8)
            arrays[f"{path.stem}.{name}"] = bits.numpy()
        target = Lossless() if path.stem.endswith("exact") else Step(0.05)
        arrays[f"encoded-{path.stem}"] = as_array(compress_network(tensors, target))
    arrays["encoded-picture"] = as_array(compress_picture(scene(40, 50), effort=1, model=model))
    return arrays


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def main(folder: Path, settings: list[str]) -> None:
    torch.set_num_threads(1)
    quantizers = {name: quantizer_of(name) for name in QUANTIZERS}
    for setting in settings:
        model = folder / f"{setting}.safetensors"
        shutil.copy(folder / "model.safetensors", model)
        with SETTINGS[setting]():
            during = decode(folder, model, quantizers)
        np.savez(folder / f"{setting}.npz", **during)
        np.savez(folder / f"{setting}-after.npz", **decode(folder, model, quantizers))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
