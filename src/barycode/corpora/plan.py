"""Which portions there are to do beside those that were planned before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from barycode.corpora.files import cut_files
from barycode.corpora.listing import Listing
from barycode.corpora.portions import Portion, common_folder
from barycode.corpora.tables import cut_table
from barycode.corpora.tars import cut_tar
from barycode.errors import InvalidInputError

SHARD_SIZE = 1000
PORTIONS_A_WORKER = 4  # at least, so that none waits long for the last


@dataclass(frozen=True)
class Cut:
    """How work is divided: samples a shard, at most; for how many workers; the column of tables."""

    workers: int
    shard_size: int = SHARD_SIZE
    column: str = ""


def plan(listing: Listing, known: Sequence[Portion], failed: frozenset[str], cut: Cut) -> list[Portion]:
    """The portions of what no known portion has.

    known: planned before; they stay as they are, whatever has been deleted since. failed: files that could
    not be read; where they have changed they are taken again. Raises InvalidInputError for other files that
    have changed.
    """
    now, covered, changed = listing.all, set(), []
    for path, stamp in chain.from_iterable(zip(p.paths, p.stamps, strict=True) for p in known):
        if now.get(path, stamp) in (stamp, "missing"):
            covered.add(path)
        elif path not in failed:
            changed.append(path)
    changed = [path for path in changed if path not in covered]
    if changed:
        raise InvalidInputError(
            f"{changed[0]}{f' and {len(changed) - 1} more' * (len(changed) > 1)} changed since it was "
            "compressed: choose another --output, or begin anew with --force."
        )
    return list(_portions(_without(listing, covered), cut))


def _without(listing: Listing, covered: set[str]) -> Listing:
    def kept(group: dict[str, str]) -> dict[str, str]:
        return {path: stamp for path, stamp in group.items() if path not in covered}

    return Listing(kept(listing.files), kept(listing.tars), kept(listing.tables), listing.others)


def _portions(listing: Listing, cut: Cut) -> Iterator[Portion]:
    wanted = PORTIONS_A_WORKER * cut.workers
    yield from cut_files(listing.files, max(1, min(cut.shard_size, len(listing.files) // wanted)))
    for path, stamp in listing.tars.items():
        yield from cut_tar(path, stamp, cut.shard_size if len(listing.tars) < wanted else None)
    root = common_folder(listing.tables)
    for path, stamp in listing.tables.items():
        for portion in cut_table(path, stamp, cut.shard_size, cut.column):
            yield replace(portion, root=root)
