"""The samples of a portion, of whatever kind it is."""

from collections.abc import Callable, Iterator

from barycode.corpora.files import read_files
from barycode.corpora.portions import Kind, Portion
from barycode.corpora.samples import Sample
from barycode.corpora.tables import read_table
from barycode.corpora.tars import read_tar

READERS: dict[Kind, Callable[[Portion], Iterator[Sample]]] = {
    "files": read_files,
    "tar": read_tar,
    "table": read_table,
}


def read_samples(portion: Portion) -> Iterator[Sample]:
    """Read the samples, one after the other."""
    return READERS[portion.kind](portion)
