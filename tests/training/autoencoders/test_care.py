import pytest
import torch

from barycode.quantizers import (
    AffineVectorQuantizer,
    FiniteScalarQuantizer,
    GumbelQuantizer,
    LinearSchedule,
    ProductQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
)
from barycode.training.autoencoders.care import (
    Alternation,
    Annealing,
    MovingAverage,
    Revival,
    Step,
)


def step_of(quantizer, z, number=1):
    optimizer = torch.optim.Adam(torch.nn.Linear(1, 1).parameters())
    return Step(number, z, quantizer(z), optimizer)


def test_moving_averages_take_the_codebook_from_the_optimizer():
    quantizer = VectorQuantizer(4, 3)
    care = MovingAverage(0.5)
    care.attach(quantizer)
    assert not any(parameter.requires_grad for parameter in quantizer.parameters())
    z = torch.randn(50, 3) + 3
    before = (z - quantizer.reconstruct(z)).square().mean()
    care.after(quantizer, step_of(quantizer, z))
    assert (z - quantizer.reconstruct(z)).square().mean() < before


@pytest.mark.filterwarnings("ignore::barycode.quantizers.CollapseWarning")  # what revival is for
@pytest.mark.parametrize(
    "quantizer",
    [VectorQuantizer(16, 4), ResidualQuantizer(16, 4, stages=3), ProductQuantizer(16, 4, groups=2)],
    ids=lambda quantizer: type(quantizer).__name__,
)
def test_what_nothing_chose_moves_onto_what_was_to_be_coded(quantizer):
    z = torch.randn(200, 4) + 20
    care = Revival(every=2)
    before = (z - quantizer.reconstruct(z)).square().mean()
    care.after(quantizer, step_of(quantizer, z, 1))
    assert (z - quantizer.reconstruct(z)).square().mean() == before
    care.after(quantizer, step_of(quantizer, z, 2))
    assert (z - quantizer.reconstruct(z)).square().mean() < before / 2
    assert all(health.histogram.sum() == 0 for health in care.healths)


def test_stages_are_offered_what_the_stages_before_left():
    quantizer = ResidualQuantizer(4, 3, stages=2)
    z = torch.randn(10, 3)
    (_, first, _), (_, second, _) = quantizer.assigned(z, quantizer.encode(z))
    assert torch.equal(first, z)
    torch.testing.assert_close(second, z - quantizer.codebooks[0].vectors[quantizer.encode(z)[:, 0]])


def test_an_affine_codebook_is_revived_in_its_own_coordinates():
    quantizer = AffineVectorQuantizer(8, 3)
    with torch.no_grad():
        quantizer.offset.fill_(5.0)
    z = torch.randn(40, 3) + 20
    care = Revival(every=1)
    care.after(quantizer, step_of(quantizer, z))
    assert (z[:, None] - quantizer.vectors()).abs().sum(-1).amin() < 1e-4


def test_a_grid_has_nothing_to_revive():
    quantizer = FiniteScalarQuantizer(8, 3)
    z = torch.zeros(1, 3)
    Revival(every=1).after(quantizer, step_of(quantizer, z))
    assert quantizer.assigned(z, quantizer.encode(z)) == ()


def test_annealing_follows_its_schedule():
    quantizer = GumbelQuantizer(4, 3)
    care = Annealing(LinearSchedule(1.0, 0.5, 2))
    for number, expected in ((1, 0.75), (2, 0.5)):
        care.after(quantizer, step_of(quantizer, torch.randn(5, 3), number))
        assert quantizer.temperature == expected


def test_alternation_fits_the_codebook_and_leaves_it_out_of_the_networks_optimizer():
    torch.manual_seed(0)
    quantizer = AffineVectorQuantizer(8, 3)
    care = Alternation(learning_rate=0.5, steps=20)
    care.attach(quantizer)
    z = torch.randn(200, 3) + 2
    before = quantizer(z).losses["commitment_loss"]
    care.before(quantizer, z)
    after = quantizer(z)
    assert after.losses["commitment_loss"] < before / 2
    assert "codebook_loss" not in after.losses
