"""Soft-to-hard training of small networks: what goes in, what training sees, what comes out."""

import copy

import pytest
import torch
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.quantizers.soft.schedules import ExponentialSchedule
from barycode.rate.entropy import entropy, hard_histogram
from barycode.weights import Lossless, compress, decompress
from barycode.weights.soft_to_hard import (
    SoftToHard,
    anneal,
    center_parameters,
    code_entropy,
    compressible,
    grid,
    harden,
    hardened_state,
    kmeans_centers,
    matrices,
    prune,
    quantizers,
    rate_loss,
    relative_grid,
)

X = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
CENTERS = [relative_grid(1.5), grid(0.05, learned=False), kmeans_centers(9)]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4), nn.Linear(4, 3)
    )


def train(
    model: nn.Module, steps: int, optimizer: torch.optim.Optimizer, schedule: ExponentialSchedule
) -> None:
    for _ in range(steps):
        loss = model(X).square().mean() + 0.1 * rate_loss(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        anneal(model, schedule.step())


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), 1e-2)


@pytest.mark.parametrize("hard_forward", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("centers", CENTERS)
def test_law_train_harden_compress_decompress(centers, shared: bool, hard_forward: bool) -> None:
    model = compressible(network(), centers, shared=shared, hard_forward=hard_forward)
    train(model, 5, optimizer_of(model), ExponentialSchedule(2.0, 1.5))
    seen = model.eval()(X)
    codes = harden(model)
    assert not any(isinstance(module, SoftToHard) for module in model.modules())
    assert torch.equal(model(X), seen)
    state = model.state_dict()
    assert set(state) == set(network().state_dict())
    assert set(codes) == {"0.weight", "4.weight", "5.weight"}
    for name, hardened in codes.items():
        assert torch.equal(state[name], hardened.tensor())
    decoded = decompress(compress(state, Lossless(), hardened=codes))
    for name in codes:
        assert torch.equal(decoded[name], state[name])
        assert decoded[name].dtype == state[name].dtype


@pytest.mark.parametrize("centers", CENTERS)
def test_soft_goes_to_hard(centers) -> None:
    model = compressible(network(), centers)
    hard = model.eval()(X)
    model[1].eval()
    gaps, rates = [], []
    for sigma in (2.0, 50.0, 1e6, float("inf")):
        anneal(model, sigma)
        for quantizer, _ in quantizers(model):
            quantizer.train()
        gaps.append(float((model(X) - hard).detach().abs().max()))
        rates.append(abs(float(rate_loss(model).detach()) - code_entropy(model)))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[3] == 0
    assert rates[0] > rates[2]
    assert rates[3] == 0


def test_a_network_on_its_centers_is_left_as_it_is() -> None:
    model = compressible(network(), relative_grid(2.0, learned=False))
    harden(model)
    before = model(X)
    steps = [float(m.weight.detach()[m.weight != 0].abs().min()) for m in (model[0], model[4], model[5])]
    for module, step in zip(("0.", "4.", "5."), steps, strict=True):
        chosen = lambda name, w, module=module: name.startswith(module) and w.ndim > 1  # noqa: E731
        compressible(model, grid(step), choose=chosen, sigma=float("inf"))
    torch.testing.assert_close(model(X), before)


def test_the_rate_is_the_entropy_of_the_codes_in_the_limit() -> None:
    model = compressible(network(), relative_grid(), shared=True, sigma=float("inf"))
    codes = harden(copy.deepcopy(model)).values()
    indices = torch.cat([c.indices.flatten() for c in codes])
    expected = entropy(hard_histogram(indices, len(next(iter(codes)).centers)))
    torch.testing.assert_close(rate_loss(model), expected)
    assert code_entropy(model) == pytest.approx(float(expected))


def test_the_rate_of_separate_centers_is_the_mean_over_weights() -> None:
    model = compressible(network(), relative_grid())
    bits = sum(
        c.indices.numel() * float(entropy(hard_histogram(c.indices, len(c.centers))))
        for c in harden(copy.deepcopy(model)).values()
    )
    count = sum(weights.numel() for _, weights in quantizers(model))
    assert code_entropy(model) == pytest.approx(bits / count)


def test_the_rate_pulls_entropy_down() -> None:
    model = compressible(network(), relative_grid(4.0))
    before = code_entropy(model)
    optimizer = optimizer_of(model)
    for _ in range(30):
        optimizer.zero_grad()
        rate_loss(model).backward()
        optimizer.step()
    assert code_entropy(model) < 0.8 * before


def test_training_resumes_where_it_stopped() -> None:
    straight, halves = network(), network()
    for model in (straight, halves):
        compressible(model, relative_grid(), hard_forward=True)
    schedule, optimizer = ExponentialSchedule(2.0, 1.1), optimizer_of(straight)
    train(straight, 6, optimizer, schedule)

    schedule, optimizer = ExponentialSchedule(2.0, 1.1), optimizer_of(halves)
    train(halves, 3, optimizer, schedule)
    saved = copy.deepcopy((halves.state_dict(), optimizer.state_dict(), schedule.state_dict()))
    resumed = compressible(network(seed=1), relative_grid(), hard_forward=True)
    schedule, optimizer = ExponentialSchedule(2.0, 1.1), optimizer_of(resumed)
    for thing, state in zip((resumed, optimizer, schedule), saved, strict=True):
        thing.load_state_dict(state)
    train(resumed, 3, optimizer, schedule)
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_pruned_weights_are_zero_for_good() -> None:
    model = compressible(network(), kmeans_centers(9))
    prune(model, 0.7)
    train(model, 5, optimizer_of(model), ExponentialSchedule(2.0, 1.1))
    soft = model[4].weight
    zeros = [tensor == 0 for tensor in (soft, harden(model)["4.weight"].tensor(), model[4].weight)]
    kept = int((~zeros[0]).sum())
    assert 0 < kept < 0.5 * soft.numel()
    assert not (zeros[0] & ~zeros[1]).any()
    assert torch.equal(zeros[1], zeros[2])


def test_prune_takes_the_smallest() -> None:
    model = compressible(nn.Sequential(nn.Linear(10, 10, bias=False)), grid(0.01, learned=False))
    latent = model[0].parametrizations.weight.original
    prune(model, 0.3)
    kept = model[0].parametrizations.weight[0].kept
    assert int((~kept).sum()) == 30
    assert latent[~kept].abs().max() < latent[kept].abs().min()


def test_shared_centers_are_learned_once() -> None:
    assert len(center_parameters(compressible(network(), relative_grid(), shared=True))) == 1
    assert len(center_parameters(compressible(network(), relative_grid()))) == 3
    assert not center_parameters(compressible(network(), relative_grid(learned=False)))


def test_a_rule_chooses_and_a_second_call_goes_on() -> None:
    model = compressible(network(), relative_grid(), choose=lambda name, _: name.startswith("0."))
    compressible(model, relative_grid(8.0), choose=lambda name, _: name == "5.weight")
    assert set(harden(model)) == {"0.weight", "0.bias", "5.weight"}


def test_hard_forward_is_hard_with_the_soft_gradient() -> None:
    soft, hard = (compressible(network(), relative_grid(), hard_forward=f).train() for f in (False, True))
    values: list[Tensor] = []
    for model in (soft, hard):
        weight = model[4].weight
        weight.square().sum().backward()
        values.append(weight)
    expected = hard[4].parametrizations.weight[0].hardened(hard[4].parametrizations.weight.original).tensor()
    assert torch.equal(values[1], expected)
    torch.testing.assert_close(
        *(m[4].parametrizations.weight.original.grad for m in (soft, hard)), atol=0.1, rtol=0
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(40, 50, bias=False)).to(dtype)
    compressible(model, relative_grid(4.0), hard_forward=True)
    (model(torch.ones(1, 40, dtype=dtype)).sum() + rate_loss(model)).backward()
    latent = model[0].parametrizations.weight.original
    assert latent.grad.isfinite().all()
    assert 2 < code_entropy(model) < 4
    codes = harden(model)
    assert model[0].weight.dtype == dtype
    assert torch.equal(decompress(compress(model.state_dict(), hardened=codes))["0.weight"], model[0].weight)


@pytest.mark.parametrize("choose", [matrices, lambda name, _: name == "1.weight"], ids=["all", "one place"])
def test_tied_parameters_are_quantized_once_at_all_their_places(choose) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    compressible(model, relative_grid(), choose=choose)
    assert len(list(quantizers(model))) == 1
    train(model.double(), 0, optimizer_of(model), ExponentialSchedule(2.0, 1.1))
    x = torch.randn(3, 8, dtype=torch.double)
    seen = model.eval()(x)
    codes = harden(model)
    assert set(codes) == {"0.weight"}
    assert model[1].weight is model[0].weight
    assert torch.equal(model(x), seen)
    decoded = decompress(compress(model.state_dict(), Lossless(), hardened=codes))
    assert torch.equal(decoded["1.weight"], codes["0.weight"].tensor())


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_what_other_parametrizations_make_is_quantized_as_it_comes_out(kind) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(getattr(nn.utils.parametrizations, kind)(nn.Linear(8, 8)))
    compressible(model, relative_grid())
    rate_loss(model).backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "original" in name)
    x = torch.randn(3, 8)
    seen = model.eval()(x)
    codes = harden(model)
    assert torch.equal(model[0].weight, codes["0.weight"].tensor())
    assert set(model.state_dict()) == {"0.weight", "0.bias"}
    assert model[0].weight.requires_grad
    torch.testing.assert_close(model(x), seen)


def test_the_hardened_state_is_that_of_the_hardened_model_and_leaves_it_in_training() -> None:
    torch.manual_seed(0)
    twice, tied = nn.Linear(6, 6), nn.Linear(6, 6)
    tied.weight = twice.weight
    model = nn.ModuleDict({"a": twice, "b": twice, "c": tied, "d": network()})
    compressible(model, relative_grid())
    for shrink in (0.0, 0.3):
        state, codes = hardened_state(model, shrink=shrink)
        assert len(list(quantizers(model))) == 4
        plain = copy.deepcopy(model)
        again = harden(plain, shrink=shrink)
        assert codes.keys() == again.keys()
        assert all(torch.equal(codes[name].indices, again[name].indices) for name in codes)
        assert list(state) == list(plain.state_dict())
        assert all(torch.equal(value, plain.state_dict()[name]) for name, value in state.items())
        found = decompress(compress(state, Lossless(), hardened=codes))
        assert found["c.weight"].data_ptr() == found["a.weight"].data_ptr() == found["b.weight"].data_ptr()


def test_shrinking_makes_smaller_codes() -> None:
    model = compressible(network(), relative_grid())
    sizes = [
        sum(
            int((c.indices - len(c.centers) // 2).abs().sum())
            for c in hardened_state(model, shrink=s)[1].values()
        )
        for s in (0.0, 0.2, 0.5, 100.0)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0 < sizes[-2] < sizes[0]


def test_a_copy_can_be_hardened_while_the_model_trains_on() -> None:
    model = compressible(network(), relative_grid())
    codes = harden(copy.deepcopy(model))
    train(model, 1, optimizer_of(model), ExponentialSchedule(2.0, 1.1))
    assert set(harden(model)) == set(codes)


@pytest.mark.parametrize(
    "act",
    [
        lambda: compressible(network(), relative_grid(), choose=lambda name, _: False),
        lambda: rate_loss(network()),
        lambda: compressible(network(), relative_grid(), sigma=0.0),
        lambda: prune(compressible(network(), relative_grid()), 1.0),
    ],
)
def test_bad_requests_are_refused(act) -> None:
    with pytest.raises(InvalidInputError):
        act()


def test_a_state_dict_in_fine_tuning_is_refused_until_it_is_hardened() -> None:
    model = compressible(nn.Sequential(nn.Linear(8, 40), nn.Linear(40, 8)), relative_grid())
    with pytest.raises(InvalidInputError, match="harden"):
        compress(model.state_dict())
    codes = harden(model)
    assert (
        decompress(compress(model.state_dict(), Lossless(), hardened=codes)).keys()
        == model.state_dict().keys()
    )


def test_other_parametrizations_are_compressed_under_their_names() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(8, 40))
    assert decompress(compress(model.state_dict(), Lossless())).keys() == model.state_dict().keys()


def test_frozen_parameters_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(8, 40), nn.Linear(40, 8))
    model[0].weight.requires_grad_(False)
    compressible(model, relative_grid())
    assert set(harden(model)) == {"1.weight"}
    assert not model[0].weight.requires_grad


def test_a_model_that_is_wrapped_for_many_processes_trains_and_has_its_gradients(tmp_path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        alone = compressible(network(), relative_grid())
        wrapped = nn.parallel.DistributedDataParallel(network(), find_unused_parameters=True)
        assert compressible(wrapped, relative_grid()) is wrapped
        assert wrapped.find_unused_parameters
        for model in (alone, wrapped):
            train(model, 3, optimizer_of(model), ExponentialSchedule(2.0, 1.1))
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(wrapped.module.state_dict()[name], value)
        assert set(harden(wrapped)) == {f"module.{name}" for name in harden(alone)}
    finally:
        torch.distributed.destroy_process_group()
