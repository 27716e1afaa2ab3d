"""The same bytes, and the same tensors, for any number of processes."""

import io

import pytest
import torch

from barycode import weights
from barycode.errors import BarycodeError, CorruptFileError
from barycode.weights import Cluster, Lossless, RelativeError, Rule, compress_to
from barycode.weights.checkpoints.sources import StateDict
from barycode.weights.file_format import blocks
from barycode.weights.file_format.reader import NetworkReader
from barycode.weights.workers import WAITING, Workers
from weights.networks import network, same


def test_results_come_in_order_and_jobs_are_not_all_taken_at_once():
    taken = []

    def jobs():
        for number in range(20):
            taken.append(number)
            yield (number,)

    with Workers(2) as workers:
        results = workers.ordered(abs, jobs())
        assert next(results) == 0
        assert len(taken) <= 2 * WAITING
        assert list(results) == list(range(1, 20))
    assert list(Workers().ordered(abs, [(-1,), (2,)])) == [1, 2]
    with pytest.raises(BarycodeError, match="1 or more"):
        Workers(0)


def test_files_are_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(blocks, "PART_ENTRIES", 2000)
    torch.manual_seed(0)
    state = network() | {"clustered": torch.randn(90, 50), "halves": torch.randn(80, 60).bfloat16()}
    rules = (Rule("clustered", Cluster(8), "asked"), *weights.DEFAULT_RULES)
    with Workers(2) as workers:
        for target, how in (
            (Lossless(), {}),
            (Lossless("quick"), {}),
            (RelativeError(0.05), {"rules": rules}),
        ):
            files = []
            for who in (Workers(), workers):
                stream = io.BytesIO()
                report = compress_to(stream, StateDict(state), target, workers=who, **how)
                files.append((stream.getvalue(), report))
            assert files[0] == files[1]
            whole = NetworkReader(io.BytesIO(files[0][0]), workers=workers).state_dict()
            assert all(same(whole[name], tensor) for name, tensor in weights.decompress(files[0][0]).items())
        data = files[0][0]
        damaged = bytearray(data)
        damaged[-40] ^= 1
        with pytest.raises(CorruptFileError):
            NetworkReader(io.BytesIO(bytes(damaged)), workers=workers).state_dict()
    (tmp_path / "a.bary").write_bytes(data)
    loaded = weights.load(tmp_path / "a.bary", workers=2)
    assert all(same(loaded[name], whole[name]) for name in whole)
