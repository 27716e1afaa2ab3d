"""Where the bits of a file went."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from barycode.container.fields import encode_varint
from barycode.container.framing import CHECKSUM_BYTES, END, HEADER_BYTES, TAG_BYTES, Section

FRAMING = "-"


@dataclass(frozen=True)
class Share:
    """All sections of one tag: how many, how many bytes of payload, and what fraction of the file that is.

    The row whose tag is FRAMING is what the container itself costs: header, tags, lengths, checksums, end.
    """

    tag: str
    meaning: str
    sections: int
    size: int
    fraction: float

    @property
    def bits(self) -> int:
        """Eight a byte."""
        return 8 * self.size


def describe(sections: Iterable[Section], meanings: Mapping[str, str] | None = None) -> list[Share]:
    """One row a tag, in order of appearance, then the framing; the sizes add up to the size of the file.

    `sections` may be a `ContainerReader`, so that a large file is described section by section; `meanings`
    says in words what each tag holds, and belongs to the application that wrote the file.
    """
    named = dict(meanings or {}) | {FRAMING: "header, tags, lengths, checksums"}
    counts: dict[str, int] = {}
    sizes: dict[str, int] = {}
    framing = HEADER_BYTES + len(END)
    for section in sections:
        counts[section.tag] = counts.get(section.tag, 0) + 1
        sizes[section.tag] = sizes.get(section.tag, 0) + len(section.payload)
        framing += TAG_BYTES + len(encode_varint(len(section.payload))) + CHECKSUM_BYTES
    sizes[FRAMING] = framing
    total = sum(sizes.values())
    return [
        Share(tag, named.get(tag, ""), counts.get(tag, 0), size, size / total) for tag, size in sizes.items()
    ]
