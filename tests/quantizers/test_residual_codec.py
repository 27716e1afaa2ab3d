"""Residual quantizers as codecs need them: any number of stages, K of each, shared codebooks, beams."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    BeamSearch,
    CodebookMaintenance,
    GreedySearch,
    ProductQuantizer,
    ResidualQuantizer,
    SharedStages,
    StageDropout,
    kmeans,
)

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def codebooks_of(sizes: list[int], seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(40, 3, generator=generator)
    return z, [torch.randn(size, 3, generator=generator) for size in sizes]


def errors(z: torch.Tensor, codebooks: list[torch.Tensor], codes: torch.Tensor) -> torch.Tensor:
    decoded = sum(codebook[part] for codebook, part in zip(codebooks, codes.unbind(-1), strict=True))
    return (z - decoded).square().sum(-1)


@settings(deadline=None, max_examples=40)
@given(sizes=SIZES, seed=st.integers(0, 2**31), width=st.integers(1, 12))
def test_a_beam_is_never_worse_than_greedy_and_of_width_one_the_same(sizes, seed, width):
    z, codebooks = codebooks_of(sizes, seed)
    greedy = GreedySearch()(z, codebooks)
    assert torch.equal(BeamSearch(1)(z, codebooks), greedy)
    found = BeamSearch(width)(z, codebooks)
    assert (errors(z, codebooks, found) <= errors(z, codebooks, greedy) + 1e-5).all()


@settings(deadline=None, max_examples=20)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=3), seed=st.integers(0, 2**31))
def test_a_beam_that_keeps_everything_finds_the_best_codes(sizes, seed):
    z, codebooks = codebooks_of(sizes, seed)
    found = BeamSearch(6**3)(z, codebooks)
    every = torch.tensor(list(product(*map(range, sizes))))
    best = torch.stack([errors(z, codebooks, codes.expand(len(z), -1)) for codes in every]).amin(0)
    torch.testing.assert_close(errors(z, codebooks, found), best, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_falls_with_stages_and_with_the_width_of_the_beam(seed: int):
    torch.manual_seed(seed)
    z = torch.randn(2000, 6)
    quantizer = ResidualQuantizer(16, 6, stages=5)
    quantizer.initialize(z, kmeans)

    def error(search: BeamSearch, stages: int) -> float:
        quantizer.search = search
        return (z - quantizer.decode(quantizer.encode(z, stages))).square().mean().item()

    by_stages = [error(BeamSearch(1), stages) for stages in range(1, 6)]
    by_width = [error(BeamSearch(width), 5) for width in (1, 2, 4, 8, 16)]
    for curve in (by_stages, by_width):
        assert curve == sorted(curve, reverse=True)
        assert curve[-1] < 0.9 * curve[0]


def test_the_first_stages_alone_are_a_lower_rate():
    quantizer = ResidualQuantizer(8, 4, stages=5)
    z = torch.randn(3, 20, 4)
    codes = quantizer.encode(z)
    for stages in range(1, 6):
        assert torch.equal(quantizer.encode(z, stages), codes[..., :stages])
        vectors = quantizer.decode_stages(codes[..., :stages])
        assert vectors.shape == (3, 20, stages, 4)
        torch.testing.assert_close(vectors.sum(-2), quantizer.decode(codes[..., :stages]))
    for wrong in (0, 6, "a", 1.5):
        with pytest.raises(InvalidInputError, match="stages"):
            quantizer.encode(z, wrong)


def test_a_codebook_size_for_each_stage():
    quantizer = ResidualQuantizer([16, 4, 2], 3)
    z = torch.randn(200, 3)
    quantizer.initialize(z, kmeans)
    codes = quantizer.encode(z)
    assert [codebook.size for codebook in quantizer.codebooks] == [16, 4, 2]
    assert codes.amax(0).tolist() == [15, 3, 1]
    with pytest.raises(InvalidInputError, match="from 0 to 1, but they go from 2 to 2"):
        quantizer.decode(torch.tensor([15, 3, 2]))
    for wrong in ([], [4, 0], [4, "a"], "abc"):
        with pytest.raises(InvalidInputError):
            ResidualQuantizer(wrong, 3)
    with pytest.raises(InvalidInputError, match="leave `stages` out"):
        ResidualQuantizer([4, 4], 3, stages=2)


def test_shared_stages_have_one_codebook():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(32, 3, stages=SharedStages(4))
    assert [name for name, _ in quantizer.named_parameters()] == ["stages.0.codebook.vectors"]
    assert len(quantizer.codebooks) == 1
    z = torch.randn(1000, 3)
    quantizer.initialize(z, kmeans)
    one, four = ((z - quantizer.decode(quantizer.encode(z, n))).square().mean() for n in (1, 4))
    assert four < 0.5 * one
    quantizer(z).losses["codebook_loss"].backward()
    (entry,) = quantizer.statistics(z)
    assert entry.counts.sum() == 4000


def test_dropout_uses_the_first_stages_in_training_alone():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(8, 3, stages=4, dropout=StageDropout())
    maintenance = CodebookMaintenance(quantizer, patience=4)
    z = torch.randn(50, 3)
    drawn = set()
    for _ in range(60):
        result = quantizer(z)
        drawn.add(result.indices.shape[-1])
        assert torch.equal(result.quantized, quantizer.decode(result.indices))
        assert len(quantizer.statistics(z, result.indices)) == 4
        maintenance.step()
    assert drawn == {1, 2, 3, 4}
    assert quantizer.eval()(z).indices.shape[-1] == 4
    for dropout, expected in ((StageDropout((2, 3)), {2, 3}), (StageDropout(probability=0), {4})):
        quantizer = ResidualQuantizer(8, 3, stages=4, dropout=dropout)
        assert {quantizer(z).indices.shape[-1] for _ in range(30)} == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: StageDropout((0,)),
        lambda: StageDropout(probability=1.1),
        lambda: StageDropout(probability="a"),
        lambda: BeamSearch(0),
        lambda: SharedStages(2.5),
        lambda: ResidualQuantizer(8, 3, dropout=0.5),
        lambda: ResidualQuantizer(8, 3, search=8),
        lambda: ResidualQuantizer(8, 3, stages=2, dropout=StageDropout((1, 3))),
        lambda: ProductQuantizer(
            8, 4, quantizer=lambda k, d: ResidualQuantizer(k, d, dropout=StageDropout())
        ),
    ],
)
def test_wrong_objects_are_typed_errors(make):
    with pytest.raises(InvalidInputError):
        make()


class CodecQuantizer(nn.Module):
    """A residual quantizer where EnCodec's model has its own: maps (B, d, T), codes (stages, B, T)."""

    def __init__(self, quantizer: ResidualQuantizer, bandwidth_of_a_stage: float) -> None:
        super().__init__()
        self.quantizer, self.bandwidth = quantizer, bandwidth_of_a_stage

    def encode(self, maps: torch.Tensor, bandwidth: float) -> torch.Tensor:
        return self.quantizer.encode(maps.movedim(1, -1), int(bandwidth / self.bandwidth)).movedim(-1, 0)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return self.quantizer.decode(codes.movedim(0, -1)).movedim(-1, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_inside_encodec_the_bandwidth_changes_the_codes():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1, upsampling_ratios=[4, 2]
    )
    model = transformers.EncodecModel(config).eval()
    sound = torch.randn(2, 1, 1600).cumsum(-1).tanh()
    latents = model.encoder(sound).detach().movedim(1, -1)
    bits = 10 * config.sampling_rate / config.hop_length / 1000  # of a stage, kbit/s
    quantizer = ResidualQuantizer(64, 16, stages=16, dropout=StageDropout())
    quantizer.initialize(latents, kmeans)
    model.quantizer = CodecQuantizer(quantizer, bits)
    model.config.target_bandwidths = [2 * bits, 4 * bits, 16 * bits]
    left = []
    for bandwidth, stages in zip(model.config.target_bandwidths, (2, 4, 16), strict=True):
        encoded = model.encode(sound, bandwidth=bandwidth)
        assert encoded.audio_codes.shape[-2] == stages
        assert model.decode(encoded.audio_codes, encoded.audio_scales).audio_values.shape[0] == 2
        decoded = quantizer.decode(encoded.audio_codes.squeeze(0).movedim(-2, -1))
        left.append((decoded - latents).square().mean().item())
    assert left == sorted(left, reverse=True)
    assert left[2] < 0.5 * left[0]
