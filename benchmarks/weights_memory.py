"""Peak memory of `barycode compress` and `decompress` on a made-up checkpoint with a large embedding.

    python benchmarks/weights_memory.py --output benchmarks/results/weights_memory.json
    python benchmarks/weights_memory.py --megabytes 1024 --ways dense

The checkpoint is that of a language model in float32 and bfloat16; of 4,096 MB its embedding is 131,072 x
4,096 in float32. Peaks are those of the resident memory of processes of the command line with one worker,
less that of a process with the same imports: to be held against four times the largest tensor in float32.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from barycode.benchmarks.timing import ProcessCost, process_cost, report, save

WIDTH = 4096
WHOLE = 4096  # megabytes of the checkpoint whose rows are told below
VOCABULARY, HIDDEN = 131072, 11008
BLOCK = 2**22  # entries that are made up at a time
WAYS = {
    "quick": ("lossless, quick", ("--lossless", "--level", "quick")),
    "dense": ("lossless, dense", ("--lossless",)),
    "lossy": ("errors of 2 % (default)", ()),
}
KINDS = {torch.float32: "F32", torch.bfloat16: "BF16"}


@dataclass(frozen=True)
class Drawn:
    """A tensor that is to be made up."""

    name: str
    shape: tuple[int, int]
    dtype: torch.dtype

    @property
    def entries(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.entries * self.dtype.itemsize


def layout(megabytes: float) -> list[Drawn]:
    """The tensors of a checkpoint of about so many megabytes: fewer rows where it is smaller."""

    def scaled(count: int) -> int:
        return max(round(count * megabytes / WHOLE), 1)

    found = [Drawn("embedding.weight", (scaled(VOCABULARY), WIDTH), torch.float32)]
    while sum(tensor.nbytes for tensor in found) < megabytes * 1e6:
        number = len(found) // 3
        dtype = torch.float32 if number % 4 == 3 else torch.bfloat16
        found += [
            Drawn(f"layers.{number}.attention.weight", (scaled(WIDTH), WIDTH), dtype),
            Drawn(f"layers.{number}.up.weight", (scaled(HIDDEN), WIDTH), dtype),
            Drawn(f"layers.{number}.norm.weight", (1, WIDTH), torch.float32),
        ]
    return found


def write_checkpoint(path: Path, megabytes: float, seed: int = 0) -> None:
    """Write the safetensors file block by block: heavy tails, rows and columns of their own scale."""
    tensors, header, offset = layout(megabytes), {}, 0
    for tensor in tensors:
        places = [offset, offset := offset + tensor.nbytes]
        header[tensor.name] = {
            "dtype": KINDS[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": places,
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = torch.Generator().manual_seed(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            columns = _scales(WIDTH, generator)
            for start in range(0, tensor.shape[0], BLOCK // WIDTH):
                count = min(BLOCK // WIDTH, tensor.shape[0] - start)
                block = torch.randn(count, WIDTH, generator=generator)
                block *= _scales((count, WIDTH), generator)
                block *= 0.05 * columns * _scales((count, 1), generator)
                file.write(block.to(tensor.dtype).view(torch.uint8).numpy().data)


def _scales(shape: int | tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator).mul_(0.3).exp_()


def cost(arguments: Sequence[str]) -> ProcessCost:
    """Of Python with these arguments."""
    found = process_cost(arguments)
    if found.status:
        raise SystemExit(f"python {' '.join(arguments)} failed.")
    return found


def rows(
    megabytes: float, ways: Sequence[str], folder: Path, seed: int = 0
) -> Iterator[Mapping[str, object]]:
    """A row for every way and direction."""
    plain, small, again = (folder / name for name in ("model.safetensors", "model.bary", "again.safetensors"))
    write_checkpoint(plain, megabytes, seed)
    largest = 4e-6 * max(tensor.entries for tensor in layout(megabytes))
    imports = cost(("-c", "import barycode.weights, barycode.cli.main")).peak_bytes / 1e6
    for way in ways:
        name, options = WAYS[way]
        command = ("-m", "barycode")
        for direction, arguments in (
            ("compress", ("compress", str(plain), "--output", str(small), *options)),
            ("decompress", ("decompress", str(small), "--output", str(again))),
        ):
            found = cost((*command, *arguments, "--workers", "1", "--force"))
            above = found.peak_bytes / 1e6 - imports
            yield {
                "what": name,
                "direction": direction,
                "megabytes": round(plain.stat().st_size / 1e6, 1),
                "file MB": round(small.stat().st_size / 1e6, 1),
                "largest tensor in float32, MB": round(largest, 1),
                "imports MB": round(imports),
                "above imports MB": round(above),
                "of the largest tensor": round(above / largest, 2),
                "seconds": round(found.seconds, 1),
            }
        again.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=WHOLE)
    parser.add_argument("--ways", default=",".join(WAYS), help="of " + ", ".join(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one otherwise")
    parser.add_argument("--output", type=Path, help="JSON; rows of other sizes and ways in it are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(arguments.output.read_text())["rows"] if _exists(arguments.output) else []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for row in rows(arguments.megabytes, arguments.ways.split(","), Path(folder), arguments.seed):
            print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
            known = [other for other in known if _key(other) != _key(row)] + [dict(row)]
            if arguments.output:
                save(arguments.output, report(known, ("numpy", "constriction", "zstandard")))


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row.get(name) for name in ("what", "direction", "megabytes"))


if __name__ == "__main__":
    main()
