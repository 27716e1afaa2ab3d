"""The `.bary` file: typed sections with checksums, specified in docs/format.md. It knows no application."""

from barycode.container.atomic import write_atomic
from barycode.container.bounds import least_bytes, require_within
from barycode.container.container import Container, pack, stream_of, unpack
from barycode.container.deflate import inflate
from barycode.container.describe import Share, describe
from barycode.container.fields import ByteReader, ByteWriter
from barycode.container.framing import EXTENSION, KINDS, MAGIC, VERSION, Section
from barycode.container.stream import ContainerReader, ContainerWriter

__all__ = [
    "EXTENSION",
    "KINDS",
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
    "inflate",
    "least_bytes",
    "pack",
    "require_within",
    "stream_of",
    "unpack",
    "write_atomic",
]
