"""Plain files as samples of one part each."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from barycode.corpora.portions import Portion, common_folder
from barycode.corpora.samples import Part, Sample


def cut_files(stamps: dict[str, str], count: int) -> Iterator[Portion]:
    """Portions of `count` files, in their order, but those that would have one key together: whoever reads
    them gives each a key of its own.
    """
    root = common_folder(stamps)
    for some in _cut(stamps, count):
        yield Portion("files", tuple(some), tuple(stamps[path] for path in some), root)


def _cut(paths: Iterable[str], count: int) -> Iterator[list[str]]:
    of_one_key: dict[PurePath, list[str]] = {}
    for path in paths:
        of_one_key.setdefault(_key(PurePath(path)), []).append(path)
    some: list[str] = []
    for group in of_one_key.values():
        if some and len(some) + len(group) > count:
            yield some
            some = []
        some = some + group
    if some:
        yield some


def _key(path: PurePath) -> PurePath:
    return path.with_name(path.stem.replace(".", "_"))


def read_files(portion: Portion) -> Iterator[Sample]:
    """Keys are paths below the root without suffix; dots would end them, and no two are the same."""
    taken: set[str] = set()
    for text in portion.paths:
        path = PurePath(text)
        inside = path.relative_to(portion.root)
        key = _key(inside).as_posix()
        if key in taken:
            key = f"{key}-{inside.suffix.removeprefix('.')}"
        while key in taken:
            key += "_"
        taken.add(key)
        yield Sample(key, text, (Part(path.suffix, Path(text)),))
