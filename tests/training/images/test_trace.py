import pytest
import torch

from barycode.images.lattice import UNIT
from barycode.images.model import ImageModel, ModelConfig
from barycode.images.steps import StepPolicy
from barycode.images.tile import Setting, encode_tile
from barycode.images.transform import mirror_samples
from barycode.training.images.coded import Batch, code_batch
from barycode.training.images.stages import contexts_loss, decoder_loss, joint_loss, squared_error
from barycode.training.images.tables import prior_lengths
from barycode.training.images.trace import Trace
from scenes import scene


def _model(policy=None):
    torch.manual_seed(0)
    config = ModelConfig("t", policy=policy or StepPolicy(), channels=4, depth=1, hidden=8)
    return ImageModel(config)


def _batch(count=2):
    pixels = torch.stack(
        [torch.from_numpy(scene(48, 64, seed)).permute(2, 0, 1).float() for seed in range(count)]
    )
    return Batch(pixels, torch.tensor([50.0, 25.0])[:count])


def _chooser(model, rate_weight=0.1):
    return model.chooser(rate_weight, prior_lengths(model))


@pytest.mark.parametrize("policy", [None, StepPolicy(exponent=0.5, growth=0.06, chroma=1.3)])
def test_training_chooses_the_codes_that_the_encoder_writes(policy):
    model, batch = _model(policy), _batch(1)
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
        codes = Trace(model, coefficients, batch.step, model.chooser(0.1)).run(batch.octave)
    from barycode.images.tile import decode_tile

    data = encode_tile(model, coefficients[0], Setting(0), 0.1).payload
    assert torch.equal(decode_tile(model, data, (6, 8), Setting(0)), codes[0])


def test_soft_choices_become_the_hard_ones_and_their_rate_the_rate():
    model, batch = _model(), _batch()
    with torch.no_grad():
        coefficients = model.analysis(mirror_samples(batch.pixels))
        distances, rates = [], []
        for sigma in (1.0, 10.0, 100.0, 1e4):
            trace = Trace(model, coefficients, batch.step, _chooser(model), sigma)
            hard = trace.run(batch.octave)
            distances.append((trace.soft - hard).abs().mean().item())
            rates.append(
                (trace.rate_bits - trace.hard_bits).abs().max().item() / trace.hard_bits.max().item()
            )
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3
    assert rates[-1] < 1e-3 < rates[0]


def test_gradients_reach_the_coefficients_through_soft_codes_and_their_rate():
    model, batch = _model(), _batch()
    coefficients = model.analysis(mirror_samples(batch.pixels)).detach().requires_grad_()
    trace = Trace(model, coefficients, batch.step, _chooser(model), sigma=4.0)
    codes = trace.run(batch.octave)
    assert torch.equal(codes * UNIT, (codes * UNIT).round())
    (of_codes,) = torch.autograd.grad(trace.soft.sum(), coefficients, retain_graph=True)
    (of_rate,) = torch.autograd.grad(trace.rate_bits.sum(), coefficients)
    assert (of_codes != 0).float().mean() > 0.1
    assert of_rate.abs().sum() > 0


def test_training_after_compressing_in_the_same_process():
    model = _model()
    pixels = torch.from_numpy(scene(72, 40, 5)).permute(2, 0, 1)[None].float()
    encode_tile(model, model.analysis(mirror_samples(pixels)).detach()[0], Setting(0), 0.1)
    losses = joint_loss(model, Batch(pixels, torch.tensor([50.0])), _chooser(model), squared_error, 4.0)
    losses.total.backward()
    assert model.analysis.weight.grad.abs().sum() > 0


def test_each_stage_reaches_its_own_parameters():
    model, batch = _model(), _batch()
    chooser = _chooser(model)

    def reached(loss):
        model.zero_grad(set_to_none=True)
        loss.backward()
        names = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()]
        return {name.split(".")[name.startswith("contexts.")] for name in names}

    assert reached(contexts_loss(model, batch, chooser)) == {"dc", "ac"}
    assert reached(decoder_loss(model, code_batch(model, batch, chooser), squared_error)) == {"decoder"}
    joint = joint_loss(model, batch, chooser, squared_error, sigma=4.0).total
    assert reached(joint) == {"analysis", "decoder", "dc", "ac"}


def test_the_gap_closes_as_sigma_grows():
    model, batch = _model(), _batch()
    gaps = [abs(joint_loss(model, batch, _chooser(model), squared_error, s).gap) for s in (1.0, 30.0, 3000.0)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-2 * gaps[0]
