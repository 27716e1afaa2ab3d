"""Law 6 in processes of their own: start, averages and revival of N ranks are those of one, on any shares."""

from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from barycode.quantizers import (
    CodebookHealth,
    CodebookMaintenance,
    ProductQuantizer,
    Quantizer,
    ResidualQuantizer,
    StageDropout,
    VectorQuantizer,
    gather,
    kmeans,
)

KINDS = {
    "vector": VectorQuantizer,
    "residual": partial(ResidualQuantizer, stages=2),
    "product": ProductQuantizer,
}
SIZE, DIM = 8, 4
CUTS = [2, 6, 30, 0, 40, 7, 20, 39]  # how many vectors of each batch the first rank gets: none, some, or all
TOGETHER = [6, 6, 40, 40, 40, 40, 40, 40]  # the first batch is too small to start from


def batches() -> list[torch.Tensor]:
    """Latents that jump away after the fifth batch, so that code vectors die."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(count, DIM, generator=generator) + 10 * (number > 4)
        for number, count in enumerate(TOGETHER)
    ]


def train(kind: str, first: int = 0, last: int = 1, patience: int = 8) -> dict[str, torch.Tensor]:
    """The state after all batches, of which this process sees ranks `first` to `last` of two."""
    torch.manual_seed(0)
    quantizer: Quantizer = KINDS[kind](SIZE, DIM)
    torch.manual_seed(first)  # what is drawn must be the first rank's
    maintenance = CodebookMaintenance(quantizer, patience=patience)
    health = CodebookHealth(SIZE)
    for batch, cut in zip(batches(), CUTS, strict=True):
        shares = batch[:cut], batch[cut:]
        z = torch.cat(shares[first : last + 1])
        if len(z) or len(batch) < 40:  # a rank without vectors may leave the pass out, once started
            health.update(quantizer(z).indices)
        maintenance.step()
        health.sync()
    return {**quantizer.state_dict(), "histogram": health.histogram}


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    states = {kind: train(kind, rank, rank) for kind in KINDS}
    rvq = ResidualQuantizer(SIZE, DIM, stages=4, dropout=StageDropout())
    torch.manual_seed(rank)  # the draws of each rank would differ
    states["drawn"] = torch.tensor([rvq(torch.randn(3, DIM)).indices.shape[-1] for _ in range(20)])
    everything = gather(torch.full((rank + 1, 2), rank, dtype=torch.float32))
    assert everything.tolist() == [[0, 0], [1, 1], [1, 1]]
    quantizer = VectorQuantizer(3, 2)
    quantizer.initialize(everything, partial(kmeans, generator=torch.Generator().manual_seed(0)))
    states["started"] = quantizer.state_dict()
    torch.save(states, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_codebooks_of_two_ranks_are_those_of_one(tmp_path: Path):
    mp.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for kind in KINDS:
        alone = train(kind)
        for name, value in alone.items():
            assert torch.equal(first[kind][name], second[kind][name])
            torch.testing.assert_close(first[kind][name], value, rtol=1e-5, atol=1e-6)
        unrevived = train(kind, patience=0)
        assert any(not torch.allclose(alone[name], unrevived[name]) for name in alone)
    assert torch.equal(first["drawn"], second["drawn"])
    assert len(first["drawn"].unique()) > 1
    assert torch.equal(first["started"]["codebook.vectors"], second["started"]["codebook.vectors"])
