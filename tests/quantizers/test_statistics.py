"""Law 6: N ranks on shards of a batch move the codebook as one rank on the whole batch."""

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from barycode.quantizers import CodebookHealth, EmaUpdate, ResidualQuantizer, sync

STEPS = 3


def make_quantizer() -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(8, 3, stages=2).requires_grad_(False)


def global_batches() -> torch.Tensor:
    return torch.randn(STEPS, 101, 3, generator=torch.Generator().manual_seed(1))


def run_rank(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    quantizer, health = make_quantizer(), CodebookHealth(8)
    update = EmaUpdate(decay=0.6)
    for batch in global_batches():
        shard = batch[:70] if rank == 0 else batch[70:]  # ranks need not hold equal shares
        health.update(quantizer.encode(shard)[:, 0])
        update(quantizer, sync(quantizer.statistics(shard)))
    health.sync()
    torch.save({"quantizer": quantizer.state_dict(), "health": health.state_dict()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_equal_one_rank():
    quantizer, health = make_quantizer(), CodebookHealth(8)
    update = EmaUpdate(decay=0.6)
    for batch in global_batches():
        health.update(quantizer.encode(batch)[:, 0])
        update(quantizer, sync(quantizer.statistics(batch)))
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(run_rank, args=(2, folder), nprocs=2)
        ranks = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for state in ranks:
        for name, value in quantizer.state_dict().items():
            torch.testing.assert_close(state["quantizer"][name], value, rtol=1e-6, atol=1e-7)
            assert torch.equal(state["quantizer"][name], ranks[0]["quantizer"][name])
        assert torch.equal(state["health"]["histogram"], health.histogram)


def test_sync_without_ranks_returns_the_statistics():
    statistics = make_quantizer().statistics(torch.randn(5, 3))
    assert sync(statistics) == statistics
