"""Speed, size and memory of the network codec; with --zstd, beside zstd -19 (package zstandard).

    python benchmarks/weights.py                            # a made-up checkpoint of 100 MB
    python benchmarks/weights.py model.safetensors --megabytes 20
    python benchmarks/weights.py --output weights.json

Megabytes are those of the tensors before compression, seconds are those of one thread of this process, its
machine code made before (extra `compiled`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from barycode.benchmarks.networks import made_up
from barycode.benchmarks.timing import report, save
from barycode.machine_code import INSTALLED
from barycode.weights import Lossless, Step, Target, compress, decompress

PACKAGES = ("torch", "numpy", "constriction", *(["numba"] if INSTALLED else []))
STEP = 0.3  # of the root mean square of all weights: some three bits a weight


def cut(tensors: Mapping[str, Tensor], megabytes: float) -> dict[str, Tensor]:
    """The first tensors, of about so many megabytes."""
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if sum(other.nbytes for other in kept.values()) >= megabytes * 1e6:
            break
        kept[name] = tensor
    return kept


def timed(method: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return method(), time.process_time() - start


def measure(name: str, tensors: Mapping[str, Tensor], target: Target, zstd: bool) -> dict[str, object]:
    """One row: bits per weight, ratio, and megabytes a second each way."""
    size = sum(tensor.nbytes for tensor in tensors.values())
    decompress(compress(cut(tensors, 0.1), target))
    data, encoding = timed(lambda: compress(tensors, target))
    _, decoding = timed(lambda: decompress(data))
    row: dict[str, object] = {
        "what": name,
        "megabytes": round(size / 1e6, 1),
        "bits per weight": round(8 * len(data) / sum(tensor.numel() for tensor in tensors.values()), 3),
        "times smaller": round(size / len(data), 3),
        "encode MB/s": round(size / 1e6 / encoding, 1),
        "decode MB/s": round(size / 1e6 / decoding, 1),
    }
    if zstd and isinstance(target, Lossless):
        row["of zstd -19"] = round(len(data) / zstd_size(tensors), 3)
    return row


def zstd_size(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all tensors one after the other under zstd -19."""
    import zstandard

    joined = b"".join(
        tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() for tensor in tensors.values()
    )
    return len(zstandard.ZstdCompressor(level=19).compress(joined))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?", type=Path, help="a .safetensors file, else made-up weights")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--zstd", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for row in speed_rows(arguments):
        rows.append(row)
        print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
    if arguments.output:
        save(arguments.output, report(rows, PACKAGES, rounds=1))


def speed_rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Quantized, and lossless on a quarter of it in two formats."""
    whole = load_file(arguments.checkpoint) if arguments.checkpoint else made_up(arguments.megabytes)
    tensors = cut(whole, arguments.megabytes)
    floats = torch.cat([t.flatten() for t in tensors.values() if t.dtype == torch.float32 and t.ndim > 1])
    step = Step(STEP * float(floats.square().mean().sqrt()))
    halves = {name: t.bfloat16() if t.is_floating_point() else t for name, t in tensors.items()}
    for name, state, target in (
        ("float32, quantized", tensors, step),
        ("float32, lossless", cut(tensors, arguments.megabytes / 4), Lossless()),
        ("bfloat16, lossless", cut(halves, arguments.megabytes / 4), Lossless()),
    ):
        yield measure(name, state, target, arguments.zstd)


if __name__ == "__main__":
    main()
