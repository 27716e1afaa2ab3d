from functools import partial

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    AffineVectorQuantizer,
    CodebookHealth,
    CodebookMaintenance,
    EmaUpdate,
    ExactProgram,
    ProductQuantizer,
    ProjectedQuantizer,
    ResidualQuantizer,
    SoftConvexQuantizer,
    SparseCode,
    VectorQuantizer,
    revive,
)

KINDS = {
    "vector": VectorQuantizer,
    "affine": AffineVectorQuantizer,
    "residual": partial(ResidualQuantizer, stages=2),
    "product": ProductQuantizer,
}


@pytest.mark.parametrize("update", [EmaUpdate(), None], ids=["ema", "gradient"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_codebook_stays_alive(kind: str, update: EmaUpdate | None):
    torch.manual_seed(0)
    quantizer = KINDS[kind](32, 4)
    maintenance = CodebookMaintenance(quantizer, update=update)
    moved = [p for p in quantizer.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(moved, 1e-3) if moved else None
    for _ in range(60):
        loss = quantizer(torch.randn(128, 4) * 0.1 + 3).loss
        if optimizer is not None and loss.requires_grad:  # EMA leaves an affine map without a loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        maintenance.step(optimizer)
    z = torch.randn(4000, 4) * 0.1 + 3
    for codebook, _, indices in quantizer.assigned(z, quantizer.encode(z)):
        health = CodebookHealth(codebook.size)
        health.update(indices)
        assert health.perplexity > 16


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_checked_once(kind: str, monkeypatch: pytest.MonkeyPatch):
    quantizer = KINDS[kind](8, 4)
    maintenance = CodebookMaintenance(quantizer, start=None, patience=0)
    checked, seen = type(quantizer).checked, []
    monkeypatch.setattr(
        type(quantizer), "checked", lambda self, z: seen.append(self is quantizer) or checked(self, z)
    )
    for _ in range(3):
        quantizer(torch.randn(64, 4))
        maintenance.step()
    assert sum(seen) == 3


@pytest.mark.parametrize("code", [SparseCode(), SparseCode(2, 3), None], ids=str)
@pytest.mark.parametrize("kind", ["alone", "product", "projected"])
@pytest.mark.parametrize("update", [EmaUpdate(), None], ids=["ema", "gradient"])
def test_convex_programs_are_solved_once(
    kind: str, update: EmaUpdate | None, code: SparseCode | None, monkeypatch: pytest.MonkeyPatch
):
    convex = partial(SoftConvexQuantizer, code=code)
    made = {
        "alone": convex,
        "product": partial(ProductQuantizer, quantizer=convex),
        "projected": partial(ProjectedQuantizer, codebook_dim=2, quantizer=convex),
    }[kind](8, 4)
    maintenance = CodebookMaintenance(made, start=None, update=update)
    z = torch.randn(64, 4)
    with torch.no_grad():
        expected = made.statistics(z)
    solve, solved = ExactProgram.__call__, []
    monkeypatch.setattr(ExactProgram, "__call__", lambda *given: solved.append(1) or solve(*given))
    before = [codebook.vectors.clone() for codebook in made.codebooks]
    made(z)
    maintenance.step()
    assert len(solved) == len(made.codebooks)
    for codebook, entry, old in zip(made.codebooks, expected, before, strict=True):
        if update is None:
            assert torch.equal(codebook.vectors, old)
            continue
        means = entry.sums / entry.counts.clamp_min(1e-30)[:, None]
        wanted = torch.where(entry.counts[:, None] > 0, means, old)
        torch.testing.assert_close(codebook.vectors, wanted.float(), atol=1e-4, rtol=1e-4)


def test_a_corner_that_carries_weight_is_not_dead():
    torch.manual_seed(0)
    square = torch.tensor([[-9.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [9.0, 9.0], [0.0, 0.0]])
    scq = SoftConvexQuantizer(5, 2, code=None)
    scq.codebook.load(square)
    maintenance = CodebookMaintenance(scq, start=None, update=None, patience=1)
    z = torch.randn(200, 2)  # nearest to the middle
    scq(z)
    maintenance.step()
    assert torch.equal(scq.codebook.vectors, square)


def test_a_step_is_the_moving_average_of_the_forward_pass():
    torch.manual_seed(0)
    watched, plain = VectorQuantizer(8, 2), VectorQuantizer(8, 2)
    plain.load_state_dict(watched.state_dict())
    plain.requires_grad_(False)
    maintenance = CodebookMaintenance(watched, start=None, patience=0)
    z = torch.randn(64, 2)
    watched(z)
    maintenance.step()
    EmaUpdate()(plain, plain.statistics(z))
    assert torch.equal(watched.codebook.vectors, plain.codebook.vectors)


def test_small_batches_wait_for_enough_vectors_and_evaluation_is_not_watched():
    vq = VectorQuantizer(8, 2)
    maintenance = CodebookMaintenance(vq)
    before = vq.codebook.vectors.clone()
    vq.eval()(torch.randn(100, 2))
    vq.train()(torch.randn(5, 2))
    maintenance.step()
    assert torch.equal(vq.codebook.vectors, before)
    vq(torch.randn(5, 2))
    assert not torch.equal(vq.codebook.vectors, before)
    resumed = CodebookMaintenance(vq)
    resumed.load_state_dict(maintenance.state_dict())
    started = vq.codebook.vectors.clone()
    vq(torch.randn(50, 2))
    assert torch.equal(vq.codebook.vectors, started)


def test_revive_takes_a_mask_or_indices():
    vq = VectorQuantizer(8, 2)
    before = vq.codebook.vectors.clone()
    assert revive(vq.codebook, torch.tensor([5, 7]), torch.randn(10, 2)) == 2
    assert (vq.codebook.vectors != before).any(1).nonzero().flatten().tolist() == [5, 7]
    for wrong in (torch.tensor([8]), torch.tensor([-1]), torch.ones(3, dtype=torch.bool), torch.ones(8)):
        with pytest.raises(InvalidInputError, match="mask"):
            revive(vq.codebook, wrong, torch.randn(10, 2))
    with pytest.raises(InvalidInputError, match="patience"):
        CodebookMaintenance(vq, patience=-1)
    for quantizer in (vq, ResidualQuantizer(8, 2)):
        with pytest.raises(InvalidInputError, match=r"codebooks\[0\]"):
            revive(quantizer, torch.tensor([5]), torch.randn(10, 2))
    for wrong in (torch.randn(10, 3), [[1.0, 2.0]]):
        with pytest.raises(InvalidInputError, match=r"vectors \(\.\.\., 2\)"):
            revive(vq.codebook, torch.tensor([5]), wrong)
    with pytest.raises(InvalidInputError, match="not <class 'list'>"):
        revive(vq.codebook, [5], torch.randn(10, 2))


def test_the_first_stages_decode_alone():
    rvq = ResidualQuantizer(8, 4, stages=3)
    z = torch.randn(20, 4)
    indices = rvq.encode(z)
    stages = [rvq.codebooks[i].vectors[indices[:, i]] for i in range(3)]
    assert torch.equal(rvq.decode(indices[:, :1]), stages[0])
    assert torch.equal(rvq.decode(indices[:, :2]), stages[0] + stages[1])


@pytest.mark.parametrize("cast", ["bfloat16", "half"])
def test_health_counts_in_full_precision_after_a_cast(cast: str):
    health = getattr(CodebookHealth(4), cast)()
    for _ in range(40):
        health.update(torch.arange(4).repeat(1000))
    assert health.summary()["vectors"] == 160_000
    assert health.perplexity == pytest.approx(4)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo's own look
def test_a_compiled_network_is_looked_after_and_nothing_of_that_is_compiled():
    torch.manual_seed(0)
    quantizer = VectorQuantizer(32, 4)
    network = torch.nn.Sequential(torch.nn.Linear(8, 4), quantizer)
    maintenance = CodebookMaintenance(quantizer)
    graphs = []

    def counting(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    compiled = torch.compile(network, backend=counting)
    for _ in range(40):
        compiled(torch.randn(128, 8))
        maintenance.step()
    assert len(graphs) <= 3
    health = CodebookHealth(32)
    health.update(quantizer.encode(network[0](torch.randn(4000, 8))))
    assert health.perplexity > 16
