"""The laws that every quantizer obeys. A new quantizer joins by one line in `quantizer_kinds`."""

import copy
from functools import partial
from inspect import signature

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from barycode.errors import InvalidInputError
from barycode.quantizers import (
    CosineVectorQuantizer,
    EmaUpdate,
    FeatureMap,
    GumbelQuantizer,
    LookupFreeQuantizer,
    Quantizer,
    QuantizerHealth,
    ResidualLookupFreeQuantizer,
    SoftConvexQuantizer,
    SpaceFillingVectorQuantizer,
    SparseAssignment,
    StochasticQuantizer,
    kmeans,
    length_mask,
    no_quantization,
    quantize_masked,
    sync,
)
from barycode.quantizers.core.sphere import on_sphere
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from quantizer_kinds import QUANTIZERS

DIM = 4

LEADING_SHAPES = [(), (1,), (7,), (0,), (2, 3), (2, 0, 3), (2, 3, 5)]


@pytest.fixture(params=QUANTIZERS, ids=str)
def quantizer(request: pytest.FixtureRequest) -> Quantizer:
    torch.manual_seed(0)
    return QUANTIZERS[request.param](codebook_size=16, dim=DIM)


@pytest.fixture(params=[True, False], ids=["train", "eval"])
def training(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.mark.parametrize("shape", LEADING_SHAPES, ids=str)
def test_decode_of_encode_is_reconstruct_bit_for_bit(
    quantizer: Quantizer, training: bool, shape: tuple[int, ...]
):
    quantizer.train(training)
    z = torch.randn(*shape, DIM)
    indices = quantizer.encode(z)
    assert indices.dtype == torch.int64
    assert indices.shape[: len(shape)] == shape
    decoded = quantizer.decode(indices)
    assert decoded.shape == z.shape
    assert torch.equal(decoded, quantizer.reconstruct(z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_evaluation_forward_is_what_the_decoder_gets(quantizer: Quantizer, dtype: torch.dtype):
    quantizer.eval()
    z = torch.randn(3, 50, DIM).to(dtype)
    quantized, indices, _ = result = quantizer(z)
    assert quantized.dtype == dtype
    assert torch.equal(indices, quantizer.encode(z))
    assert torch.equal(quantized, quantizer.decode(indices).to(dtype))
    if isinstance(result.weights, SparseAssignment):  # a weight is a share of the indices
        counts = torch.bincount(indices.flatten(), minlength=16)
        torch.testing.assert_close(
            result.weights.total(), counts * (150 / indices.numel()), check_dtype=False
        )
    else:
        assert torch.equal(result.weights.vertex().flatten(), indices.flatten())


def test_training_indices_are_the_code_of_a_quantizer_without_noise(quantizer: Quantizer):
    if isinstance(quantizer, GumbelQuantizer | StochasticQuantizer | SpaceFillingVectorQuantizer):
        pytest.skip("it draws its training codes at random")
    z = torch.randn(50, DIM)
    assert torch.equal(quantizer(z).indices, quantizer.encode(z))


@pytest.mark.parametrize("shape", LEADING_SHAPES, ids=str)
def test_any_leading_shape_and_a_finite_loss(quantizer: Quantizer, training: bool, shape: tuple[int, ...]):
    quantizer.train(training)
    z = torch.randn(*shape, DIM, requires_grad=True)
    quantized, indices, loss = quantizer(z)
    assert quantized.shape == z.shape
    assert indices.shape[: len(shape)] == shape
    assert loss.shape == ()
    assert loss.isfinite()
    if training:
        (quantized.sum() + loss).backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()


def test_evaluation_passes_the_gradient_to_z(quantizer: Quantizer):
    quantizer.eval()
    z = torch.randn(50, DIM, requires_grad=True)
    quantizer(z).quantized.sum().backward()
    assert z.grad is not None
    assert (z.grad != 0).any(-1).all()


def test_statistics_of_found_indices_are_those_of_a_search(quantizer: Quantizer):
    z = torch.randn(50, DIM)
    searched, given = quantizer.statistics(z), quantizer.statistics(z, quantizer.encode(z))
    for a, b in zip(searched, given, strict=True):
        assert torch.equal(a.counts, b.counts)
        assert torch.equal(a.sums, b.sums)


def test_counters_survive_a_cast(quantizer: Quantizer):
    for codebook in quantizer.codebooks:
        codebook.counts.fill_(100_001)
    for cast in (quantizer.bfloat16, quantizer.half, quantizer.float):
        assert all((codebook.counts == 100_001).all() for codebook in cast().codebooks)


def test_weights_are_on_the_simplex(quantizer: Quantizer, training: bool):
    quantizer.train(training)
    weights = quantizer(torch.randn(6, 5, DIM)).weights
    dense = weights.dense()
    parts = len(getattr(weights, "parts", [0]))
    assert dense.shape == (6, 5, weights.codebook_size)
    assert (dense >= 0).all()
    if parts == 1:
        torch.testing.assert_close(dense.sum(-1), torch.ones(6, 5))
    torch.testing.assert_close(weights.total(), dense.sum((0, 1)))
    assert (weights.entropy() >= -1e-5).all()


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**31), size=st.integers(2, 70))
@pytest.mark.parametrize("name", QUANTIZERS, ids=str)
def test_a_vector_has_the_same_code_alone_and_in_any_batch(name: str, seed: int, size: int):
    generator = torch.Generator().manual_seed(seed)
    quantizer = QUANTIZERS[name](codebook_size=16, dim=DIM)
    # Points halfway between codes: where rounding would decide.
    codebooks = quantizer.codebooks
    codes = codebooks[0].vectors.detach() if codebooks else torch.randn(16, DIM, generator=generator)
    pairs = torch.randint(0, len(codes), (2, size), generator=generator)
    middles = (codes[pairs[0]] + codes[pairs[1]]) / 2
    z = middles.repeat(1, DIM // middles.shape[1])
    together = quantizer.encode(z)
    alone = torch.stack([quantizer.encode(row) for row in z])
    assert torch.equal(together, alone)
    assert torch.equal(together[1:], quantizer.encode(z[1:]))


def test_forward_has_no_side_effects(quantizer: Quantizer, training: bool):
    quantizer.train(training)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(20, DIM))
    quantizer.encode(torch.randn(20, DIM))
    quantizer.statistics(torch.randn(20, DIM))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_state_dict_restores_the_codes(quantizer: Quantizer, request: pytest.FixtureRequest):
    name = request.node.callspec.params["quantizer"]
    other = QUANTIZERS[name](codebook_size=16, dim=DIM)
    other.load_state_dict(quantizer.state_dict())
    z = torch.randn(50, DIM)
    assert torch.equal(other.encode(z), quantizer.encode(z))


def test_autocast_changes_no_code(quantizer: Quantizer):
    z = torch.randn(200, DIM)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = quantizer.encode(z)
        quantized, _, loss = quantizer(z)
    assert torch.equal(inside, quantizer.encode(z))
    assert quantized.dtype == torch.float32
    assert loss.dtype == torch.float32


def test_evaluation_compiles_without_graph_breaks(quantizer: Quantizer):
    quantizer.eval()
    z = torch.randn(5, 7, DIM)
    torch._dynamo.reset()
    compiled = torch.compile(quantizer, fullgraph=True, backend="eager")
    with torch.no_grad():
        result, expected = compiled(z), quantizer(z)
    assert torch.equal(result.quantized, expected.quantized)
    assert torch.equal(result.indices, expected.indices)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo's own doing
def test_training_compiles_without_graph_breaks(quantizer: Quantizer):
    z, g = torch.randn(20, DIM, requires_grad=True), torch.randn(20, DIM)
    torch._dynamo.reset()
    compiled = torch.compile(quantizer, fullgraph=True, backend="aot_eager")
    gradients = []
    for layer in (compiled, quantizer):
        torch.manual_seed(1)
        result = layer(z)
        ((result.quantized * g).sum() + result.loss).backward()
        gradients.append([z.grad, *(parameter.grad for parameter in quantizer.parameters())])
        z.grad = None
        quantizer.zero_grad()
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("wrong", ["a", 2.5, 0, -1, None, True], ids=str)
@pytest.mark.parametrize("name", QUANTIZERS, ids=str)
def test_sizes_that_are_no_whole_numbers_are_a_typed_error(name: str, wrong: object):
    with pytest.raises(InvalidInputError, match="`codebook_size` must be a whole number >= 1"):
        QUANTIZERS[name](codebook_size=wrong, dim=DIM)
    with pytest.raises(InvalidInputError, match="`dim` must be a whole number >= 1"):
        QUANTIZERS[name](codebook_size=16, dim=wrong)


@pytest.mark.parametrize("wrong", ["a", float("nan"), float("inf"), -1, None, True, [1]], ids=str)
@pytest.mark.parametrize("name", QUANTIZERS, ids=str)
def test_every_setting_is_checked_when_a_quantizer_is_made(name: str, wrong: object):
    for setting, parameter in signature(QUANTIZERS[name]).parameters.items():
        if setting in ("codebook_size", "dim") or isinstance(parameter.default, bool):
            continue
        if wrong is None and setting in ("code", "levels", "stages", "dropout"):  # has a meaning
            continue
        if wrong == [1] and setting == "levels":
            continue
        with pytest.raises(InvalidInputError):
            QUANTIZERS[name](codebook_size=16, dim=DIM, **{setting: wrong})


def test_health_of_every_codebook(quantizer: Quantizer):
    z = torch.randn(300, DIM)
    indices = quantizer.encode(z)
    healths = QuantizerHealth(quantizer)
    healths.update(indices.reshape(3, 100, *indices.shape[1:]))
    if len(quantizer.codebooks) < 2:
        assert sum(health.histogram.sum() for health in healths) == indices.numel()
        return
    parts = quantizer.assigned(z, indices)
    for health, (codebook, _, part) in zip(healths, parts, strict=True):
        assert torch.equal(health.histogram, torch.bincount(part, minlength=codebook.size).double())
    assert healths.summary()["1/vectors"] == 300
    with pytest.raises(InvalidInputError, match="expected"):
        healths.update(torch.zeros(7, 9, 11, dtype=torch.int64))


def test_ema_and_initialisation_lower_the_distortion(quantizer: Quantizer):
    if not quantizer.codebooks:
        pytest.skip("its codebook is fixed")
    z = torch.randn(400, DIM) * 0.1 + 5
    quantizer.requires_grad_(False)

    target = on_sphere(z) if isinstance(quantizer, CosineVectorQuantizer) else z

    def distortion() -> float:
        return (target - quantizer.reconstruct(z)).square().mean().item()

    start = distortion()
    quantizer.initialize(z, partial(kmeans, iterations=3))
    initialised = distortion()
    update = EmaUpdate(decay=0.5)
    for _ in range(10):
        update(quantizer, sync(quantizer.statistics(z)))
    assert initialised < 0.01 < start
    assert distortion() < 0.01  # not below `initialised`: greedy residual stages move under each other's feet


def test_no_quantization_returns_z_itself(quantizer: Quantizer, training: bool):
    quantizer.train(training)
    z = torch.randn(5, DIM)
    with no_quantization():
        quantized, indices, loss = quantizer(z)
    assert quantized is z
    assert loss == 0
    assert indices.shape[0] == 5
    assert not torch.equal(quantizer(z).quantized, z)


def test_feature_maps_have_their_vectors_along_the_channels(quantizer: Quantizer):
    quantizer.eval()
    layer = FeatureMap(quantizer)
    maps = torch.randn(2, DIM, 3, 5)
    result = layer(maps)
    assert result.quantized.shape == maps.shape
    assert result.indices.shape[:3] == (2, 3, 5)
    assert torch.equal(result.quantized, layer.decode(layer.encode(maps)))
    assert torch.equal(result.quantized[1, :, 2, 4], quantizer.reconstruct(maps[1, :, 2, 4]))
    assert torch.equal(layer.reconstruct(maps), result.quantized)


@pytest.mark.parametrize(
    "bad",
    [torch.zeros(3, DIM + 1), torch.zeros(()), torch.zeros(3, DIM, dtype=torch.int64)],
    ids=["dimension", "scalar", "integers"],
)
def test_wrong_vectors_are_a_typed_error(quantizer: Quantizer, bad: torch.Tensor):
    for call in (quantizer, quantizer.encode, quantizer.reconstruct, quantizer.statistics):
        with pytest.raises(InvalidInputError, match="expects a tensor of floating-point vectors"):
            call(bad)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_a_typed_error(quantizer: Quantizer, value: float):
    z = torch.zeros(3, DIM)
    z[1, 2] = value
    for call in (quantizer, quantizer.encode):
        with pytest.raises(InvalidInputError, match="NaN or an infinity"):
            call(z)


def test_finite_values_whose_sum_overflows_are_accepted(quantizer: Quantizer):
    quantizer.encode(torch.full((8, DIM), 3e37))


def test_indices_of_another_type_are_a_typed_error(quantizer: Quantizer):
    with pytest.raises(InvalidInputError, match="int64"):
        quantizer.decode(quantizer.encode(torch.zeros(3, DIM)).int())


def test_one_code_vector_is_enough(request: pytest.FixtureRequest, quantizer: Quantizer):
    if isinstance(quantizer, LookupFreeQuantizer | ResidualLookupFreeQuantizer):
        pytest.skip("its size is 2^d")
    single = QUANTIZERS[request.node.callspec.params["quantizer"]](codebook_size=1, dim=DIM)
    assert (single.encode(torch.randn(5, DIM)) == 0).all()


@pytest.mark.parametrize("wrong", [16, -1], ids=str)
def test_indices_outside_the_codebook_are_a_typed_error(quantizer: Quantizer, wrong: int):
    indices = quantizer.encode(torch.randn(5, DIM))
    indices[2] = wrong
    with pytest.raises(InvalidInputError, match=f"from 0 to 15, but they go from .*{wrong}"):
        quantizer.decode(indices)
    for kind in (indices.tolist(), indices.numpy(), indices.int()):
        with pytest.raises(InvalidInputError, match="int64 tensor"):
            quantizer.decode(kind)


def test_what_is_no_tensor_is_a_typed_error(quantizer: Quantizer):
    z = torch.randn(20, DIM).numpy()
    calls = (quantizer, quantizer.encode, quantizer.statistics, lambda z: quantizer.initialize(z, kmeans))
    for call in calls:
        with pytest.raises(InvalidInputError, match="expects a tensor"):
            call(z)
    with pytest.raises(InvalidInputError, match="such as kmeans, not 'kmeans'"):
        quantizer.initialize(torch.randn(20, DIM), "kmeans")


def test_channels_first_points_to_feature_maps(quantizer: Quantizer):
    with pytest.raises(InvalidInputError, match="FeatureMap"):
        quantizer(torch.randn(2, DIM, 7, 7))


def test_a_module_from_meta_quantizes_as_its_source(quantizer: Quantizer, request: pytest.FixtureRequest):
    with torch.device("meta"):
        other = QUANTIZERS[request.node.callspec.params["quantizer"]](codebook_size=16, dim=DIM)
    other = other.to_empty(device="cpu")
    other.load_state_dict(quantizer.state_dict())
    z = torch.randn(30, DIM)
    assert torch.equal(other.encode(z), quantizer.encode(z))
    assert torch.equal(other.reconstruct(z), quantizer.reconstruct(z))


def test_repr_says_how_to_build_it_again(quantizer: Quantizer):
    text = repr(quantizer)
    assert f"codebook_size=16, dim={DIM}" in text
    for name in ("commitment_weight", "estimator", "program", "code", "levels", "hard_forward", "kl_weight"):
        if hasattr(quantizer, name):
            assert f"{name}=" in text.split("\n  (", 1)[0]


def test_codes_come_back_from_a_file(quantizer: Quantizer):
    if isinstance(quantizer, SoftConvexQuantizer) and quantizer.code is None:
        pytest.skip("its weights are continuous")
    indices = quantizer.encode(torch.randn(3, 40, DIM))
    assert torch.equal(unpack_codes(quantizer, pack_codes(quantizer, indices)), indices)


def test_padding_is_neither_quantized_nor_counted(quantizer: Quantizer):
    quantizer.eval()
    z = torch.randn(3, 7, DIM)
    mask = length_mask(torch.tensor([7, 0, 4]), 7)
    z[~mask] = torch.nan
    result, expected = quantize_masked(quantizer, z, mask), quantizer(z[mask])
    assert torch.equal(result.quantized[mask], expected.quantized)
    assert torch.equal(result.indices[mask], expected.indices)
    assert torch.equal(result.loss, expected.loss)
    assert (result.quantized[~mask] == 0).all()
    assert (result.indices[~mask] == -1).all()
    with pytest.raises(InvalidInputError, match="mask must be bool"):
        quantize_masked(quantizer, z, mask[:, :3])


def test_a_deep_copy_is_independent(quantizer: Quantizer):
    other = copy.deepcopy(quantizer)
    z = torch.randn(30, DIM)
    before = quantizer.reconstruct(z)
    assert torch.equal(other.reconstruct(z), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    assert torch.equal(quantizer.reconstruct(z), before)
