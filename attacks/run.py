"""Read every attack, and print a line of JSON for each: what came out, seconds, bytes of memory at the peak.

It is a process of its own: what an attack does to it is measured from outside, and can be killed.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import torch
from make import attacks

from barycode.container import ContainerReader, unpack
from barycode.images.codec import decompress as picture
from barycode.images.model import ImageModel
from barycode.rate.multisets import unpack_multisets
from barycode.weights import decompress

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "images" / "golden" / "tiny.safetensors"


def with_configuration(text: bytes) -> bytes:
    """The tiny model with another configuration, or with changes to its own (null removes a key)."""
    data = TINY.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    (key,) = head["__metadata__"]
    try:
        changes = json.loads(text)
        known = json.loads(head["__metadata__"][key])
        merge = (
            isinstance(changes, dict) and not {"format", "name"} <= changes.keys() and "trade" not in changes
        )
    except (ValueError, RecursionError):
        merge = False
    if merge:
        text = json.dumps({k: v for k, v in (known | changes).items() if v is not None}).encode()
    head["__metadata__"][key] = text.decode()
    new = json.dumps(head).encode()
    return len(new).to_bytes(8, "little") + new + data[8 + length :]


READERS: dict[str, Callable[[bytes], object]] = {
    "container": unpack,
    "multisets": lambda data: [unpack_multisets(part.payload) for part in ContainerReader(BytesIO(data))],
    "network": decompress,
    "picture": lambda data: picture(data, model=ImageModel.from_bytes(TINY.read_bytes())),
    "model": lambda data: ImageModel.from_bytes(with_configuration(data)),
}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    torch.set_num_threads(1)
    with_configuration(b"{}")
    ImageModel.from_bytes(TINY.read_bytes())
    for attack in attacks():
        before, start = peak(), time.process_time()
        try:
            READERS[attack.reader](attack.data)
            error, sentence = "none", ""
        except Exception as caught:
            error, sentence = type(caught).__name__, str(caught)
        row = {
            "name": attack.name,
            "error": error,
            "sentence": sentence,
            "seconds": time.process_time() - start,
            "memory": peak() - before,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    sys.exit(main())
