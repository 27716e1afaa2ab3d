import pytest
import torch

from barycode.images.registry import find_model
from barycode.training.images.coded import Batch, code_batch, decode_batch
from barycode.training.images.tables import prior_lengths
from barycode.training.images.trace import Trace
from scenes import scene


@pytest.mark.parametrize("step", [25.0, 80.0])
def test_refined_codes_decode_to_less_error_at_what_their_bits_are_worth(step):
    model = find_model("photo")
    pixels = torch.stack(
        [torch.from_numpy(scene(64, 64, seed)).permute(2, 0, 1) for seed in range(3)]
    ).float()
    batch = Batch(pixels, torch.full((3,), step))
    chooser = model.chooser(model.config.rate_weight, prior_lengths(model))

    def costs(rounds):
        coded = code_batch(model, batch, chooser, rounds)
        with torch.no_grad():
            decoded = decode_batch(model, coded).clamp(0, 255)
            errors = ((decoded - pixels) ** 2).sum((1, 2, 3)) / (3 * step**2)
            # The walk over codes that are fixed already: what they cost under the contexts.
            trace = Trace(model, coded.codes * step, batch.step, Fixed(chooser.rate_weight))
            assert torch.equal(trace.run(batch.octave), coded.codes)
        return errors + chooser.rate_weight * trace.context_bits

    plain, refined = costs(0), costs(3)
    assert (refined <= plain * 1.0001).all()
    assert refined.sum() < 0.999 * plain.sum()


class Fixed:
    """Takes the codes that it is shown."""

    def __init__(self, rate_weight: float) -> None:
        self.rate_weight = rate_weight

    def choose(self, ratio, step):
        return ratio.round()
