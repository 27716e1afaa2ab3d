"""A portion into its shard: what a worker does, wherever it runs."""

import time
from dataclasses import dataclass

from barycode.container.atomic import replacing
from barycode.corpora.folder import CorpusFolder
from barycode.corpora.journal import Journal
from barycode.corpora.portions import Portion
from barycode.corpora.products import Product
from barycode.corpora.reading import read_samples
from barycode.corpora.records import Record
from barycode.corpora.tally import Tally


@dataclass(frozen=True)
class Work:
    """Any worker may do any portion, and do it again: what is done already is not done twice."""

    folder: CorpusFolder
    product: Product

    def __call__(self, number: int, portion: Portion) -> Record:
        """Write the shard, then its record."""
        done = self.folder.record(number)
        if done is not None:
            return done
        begun = time.perf_counter()
        tally = Tally(portion.paths[0], Journal(self.folder.journal(number)))
        shard = self.folder.shard(number)
        with replacing(shard, force=True) as temporary:
            self.product.write(read_samples(portion), temporary, tally)
        if not tally.samples:
            shard.unlink()
        record = Record(
            number,
            tally.samples,
            tally.bytes_in,
            tally.bytes_out,
            shard.stat().st_size if tally.samples else 0,
            round(time.perf_counter() - begun, 3),
            tuple(tally.failures),
            tuple(tally.notes),
        )
        self.folder.commit(record)
        return record
