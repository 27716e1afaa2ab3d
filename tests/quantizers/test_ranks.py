"""Law 6 in processes of their own: start, averages and revival of N ranks are those of one, on any shares;
gradients and the rate of soft codes on equal ones.
"""

from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from barycode.quantizers import (
    CodebookHealth,
    CodebookMaintenance,
    ProductQuantizer,
    Quantizer,
    ResidualQuantizer,
    SoftConvexQuantizer,
    SoftToHardQuantizer,
    StageDropout,
    VectorQuantizer,
    gather,
    kmeans,
)
from barycode.rate import soft_cross_entropy, soft_histogram

KINDS = {
    "vector": VectorQuantizer,
    "residual": partial(ResidualQuantizer, stages=2),
    "product": ProductQuantizer,
}
LEARNED = {  # by gradient
    **KINDS,
    "soft": SoftToHardQuantizer,
    "convex": partial(SoftConvexQuantizer, usage_weight=0.0),  # the usage of a share is not that of the batch
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


def gradients(kind: str, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the loss of one quantizer with respect to its parameters, mean over the ranks by DDP."""
    torch.manual_seed(0)
    quantizer = LEARNED[kind](SIZE, DIM)
    wrapped = DistributedDataParallel(quantizer) if dist.is_initialized() else quantizer
    result = wrapped(z)
    (result.loss + result.quantized.square().mean()).backward()
    return {name: p.grad for name, p in quantizer.named_parameters() if p.grad is not None}


def rate(z: torch.Tensor) -> dict[str, torch.Tensor]:
    """The soft cross-entropy of the assignments, in bits, under the histogram of the hard codes of all ranks,
    and its gradient.
    """
    torch.manual_seed(0)
    quantizer, health = SoftToHardQuantizer(SIZE, DIM), CodebookHealth(SIZE)
    result = quantizer(z)
    health.update(quantizer.encode(z))
    health.sync()
    histogram = health.histogram / health.histogram.sum()
    bits = soft_cross_entropy(soft_histogram(result.weights.dense()), histogram.float())
    bits.backward()
    told = {"bits": bits.detach(), "gradient": quantizer.codebook.vectors.grad}
    if dist.is_initialized():
        for value in told.values():
            dist.all_reduce(value)
            value.div_(dist.get_world_size())
    return {**told, "histogram": histogram}


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
    shares = batches()[3].chunk(2)
    states["gradients"] = {kind: gradients(kind, shares[rank]) for kind in LEARNED}
    states["rate"] = rate(shares[rank])
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
    for state in (first, second):
        whole = {kind: gradients(kind, batches()[3]) for kind in LEARNED}
        torch.testing.assert_close(state["gradients"], whole, rtol=1e-5, atol=1e-6)
        assert all(any(value.any() for value in found.values()) for found in whole.values())
        torch.testing.assert_close(state["rate"], rate(batches()[3]), rtol=1e-5, atol=1e-6)
