"""The `.bary` file: typed sections with checksums. It knows nothing of images or networks; see docs/format.md."""

from barycode.container.atomic import write_atomic
from barycode.container.container import Container, pack, unpack
from barycode.container.describe import Share, describe
from barycode.container.fields import ByteReader, ByteWriter
from barycode.container.framing import MAGIC, VERSION, Section
from barycode.container.stream import ContainerReader, ContainerWriter

__all__ = [
    "MAGIC",
    "VERSION",
    "ByteReader",
    "ByteWriter",
    "Container",
    "ContainerReader",
    "ContainerWriter",
    "Section",
    "Share",
    "describe",
    "pack",
    "unpack",
    "write_atomic",
]
