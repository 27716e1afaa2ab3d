import warnings
from dataclasses import replace

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.training.autoencoders.methods import METHODS, find_method, scalar_dim
from barycode.training.autoencoders.pictures import Batches
from barycode.training.autoencoders.start import SPREAD
from barycode.training.autoencoders.train import Recipe, Run

RECIPE = Recipe("made", "vq", codebook_size=8, steps=4, batch=8)


@pytest.fixture(autouse=True)
def few_iterations():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missed the tolerance of the convex program")
        yield


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_validates_and_moves_its_codebook(method, pictures, tmp_path):
    run = Run(replace(RECIPE, method=method), pictures, tmp_path)
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    assert run.loop.run()
    assert [step for step, _ in run.loop.curve("mse")] == [1, 2, 3, 4]
    moved = {name for name, value in run.model.named_parameters() if not torch.equal(value, before[name])}
    assert {"encoder.0.weight", "decoder.0.bias"} <= moved
    if run.model.quantizer is not None and run.model.quantizer.codebooks:
        assert any(name.startswith("quantizer.") and "vectors" in name for name in moved)


def test_a_random_start_is_a_run_of_its_own(pictures, tmp_path):
    recipe = replace(RECIPE, method="scq-exact", transform=False)
    assert recipe.name == "made-scq-exact-k8-n4-b8-random-s0"
    run = Run(recipe, pictures, tmp_path)
    latents = run.model.latents(Batches(pictures.train, 60, 0).draw())
    assert latents.std().item() == pytest.approx(SPREAD, rel=0.1)
    assert run.loop.run()


@pytest.mark.parametrize(
    "method", ["vq-revive", "vq-affine", "sq-vae", "gumbel", "sparse-2-3", "scq-relaxed", "scq-splitting-1"]
)
def test_a_resumed_run_is_the_run_that_was_never_interrupted(method, pictures, tmp_path):
    recipe = replace(RECIPE, method=method)
    whole = Run(recipe, pictures, tmp_path / "whole")
    whole.loop.run()
    while not Run(recipe, pictures, tmp_path / "parts").loop.run(deadline=0):
        pass
    resumed = Run(recipe, pictures, tmp_path / "parts")
    assert resumed.loop.done == recipe.steps
    assert resumed.loop.curve("mse") == whole.loop.curve("mse")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_the_seed_decides_everything(pictures, tmp_path):
    first, again, other = (
        Run(replace(RECIPE, seed=seed), pictures, tmp_path / folder)
        for seed, folder in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert first.step() == again.step() != other.step()


def test_an_adversary_is_resumed_with_its_run(pictures, tmp_path):
    recipe = replace(RECIPE, adversary_from=1, halvings=3)
    whole = Run(recipe, pictures, tmp_path / "whole")
    assert whole.loop.run()
    while not Run(recipe, pictures, tmp_path / "parts").loop.run(deadline=0):
        pass
    resumed = Run(recipe, pictures, tmp_path / "parts")
    assert whole.adversary
    assert resumed.adversary
    for name, value in whole.adversary.discriminator.state_dict().items():
        assert torch.equal(resumed.adversary.discriminator.state_dict()[name], value), name
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_hardened_convex_codes_are_hard_in_the_end(pictures, tmp_path):
    run = Run(replace(RECIPE, method="sparse-2-2"), pictures, tmp_path)
    run.loop.run()
    assert run.model.quantizer.hardness == 1


def test_a_name_that_is_no_method_is_a_typed_error():
    with pytest.raises(InvalidInputError, match="choose from none, vq"):
        find_method("vqq")


@pytest.mark.parametrize(("size", "dim"), [(512, 3), (4096, 4), (8, 1), (2**18, 6)])
def test_grids_have_a_coordinate_for_three_bits(size, dim):
    assert scalar_dim(size) == dim
