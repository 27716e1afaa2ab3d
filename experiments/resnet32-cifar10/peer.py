"""Rows of the peer nncodec, which needs an environment of its own.

It pins an old numpy and is built from source, so it is kept out of this one:

    python -m venv PEER && PEER/bin/pip install nncodec safetensors
    PEER/bin/python experiments/resnet32-cifar10/peer_nncodec.py NETWORK.safetensors RUNS/nncodec

writes bit streams and what they decode to; run.py then measures whatever it finds there.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench import Bench
from ladder import Made, Row
from network import ResNet32, pretrained

METHODS = {
    "plain": "nncodec, data-free, plain scalars",
    "dq": "nncodec, data-free, dependent quantization",
    "tools": "nncodec, data-free, all its tools",
}


def peer_rows(runs: Path) -> Iterator[Row]:
    """A row for each stream in the folder nncodec of the runs: NAME.nnc beside NAME.safetensors."""
    for stream in sorted((runs / "nncodec").glob("*.nnc")):
        kind = stream.stem.partition("-")[0]
        decoded = stream.with_suffix(".safetensors")
        yield Row(
            f"nncodec-{stream.stem}", METHODS[kind], partial(_stream, stream), partial(_decoded, decoded)
        )


def _stream(path: Path, bench: Bench) -> Made:
    return Made(path.read_bytes())


def _decoded(path: Path, data: bytes) -> ResNet32:
    return pretrained(path)
