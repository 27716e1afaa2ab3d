"""The `.bary` container: bytes in checked, typed sections. It knows nothing of images or networks."""

from barycode.container.fields import ByteReader, ByteWriter
from barycode.container.files import write_atomic
from barycode.container.stream import Container, ContainerReader, ContainerWriter, Section, pack, unpack

__all__ = [
    "ByteReader",
    "ByteWriter",
    "Container",
    "ContainerReader",
    "ContainerWriter",
    "Section",
    "pack",
    "unpack",
    "write_atomic",
]
