import dataclasses
import functools
import importlib

import pytest
import torch
from PIL import Image

from barycode.images import compress, decompress
from barycode.images.model import ImageModel, ModelConfig
from barycode.images.slices import SLICES
from barycode.images.vectors import ROWS, UNIT, VectorShape
from barycode.images.walk import AC_FAMILIES
from barycode.training.images import Recipe, Stage, read_recipe, train_model
from barycode.training.images.coded import Batch
from barycode.training.images.stages import joint_loss, squared_error
from barycode.training.images.tables import fit_tables, prior_lengths, walk_batch
from barycode.training.images.vectors import with_vectors
from scenes import scene

train_module = importlib.import_module("barycode.training.images.train")

SMALL = {"channels": 4, "depth": 1, "hidden": 8}
SHAPES = (VectorShape(0, 1, 2, 24), VectorShape(3, 2, 2, 40))
RATE_WEIGHT = 0.1
PICTURES = [Image.fromarray(scene(200, 208, seed)) for seed in range(3)]


def _pixels(count=4):
    crops = [scene(96, 80, seed) for seed in range(count)]
    return torch.stack([torch.from_numpy(c).permute(2, 0, 1).float() for c in crops])


def _plain():
    torch.manual_seed(0)
    return ImageModel(ModelConfig("t", **SMALL))


@pytest.fixture(scope="module")
def fitted():
    batches = [(_pixels(), index) for index in (0, 16)]
    return fit_tables(
        with_vectors(_plain(), SHAPES, batches, RATE_WEIGHT), batches, RATE_WEIGHT, prior_lengths(_plain())
    )


def _costs(model):
    """D + lambda R of slices on the pixels, by family."""
    found = {}

    class Listener:
        rate_weight = RATE_WEIGHT

        def choose(self, ratio, step):
            options = model.chooser(RATE_WEIGHT, prior_lengths(model)).options(ratio, step)
            cost = (options.errors + RATE_WEIGHT * options.bits).amin(0).sum().item()
            found[step.family] = found.get(step.family, 0) + cost
            return options.cheapest(RATE_WEIGHT)

    walk_batch(model, _pixels(), 0, Listener(), lambda step, codes: None)
    return found


def test_fitted_vectors_cost_less_than_scalars_on_what_they_were_fitted_to(fitted):
    before, after = _costs(_plain()), _costs(fitted)
    for shape in SHAPES:
        family = AC_FAMILIES + shape.index
        assert after[family] < 0.95 * before[family]


def test_what_is_not_a_vector_slice_stays_as_it_was(fitted):
    plain = _plain()
    for name, value in plain.state_dict().items():
        assert torch.equal(fitted.state_dict()[name], value), name
    vectors = {band for shape in SHAPES for band in SLICES[shape.index].bands}
    for bands in (tuple(vectors), tuple(set(range(192)) - vectors)):
        codes = torch.ones(1, len(bands), 4)
        whole = bands[0] in vectors
        expected = codes if whole else plain.decoder.reconstruct(codes, bands)
        assert torch.equal(fitted.decoder.reconstruct(codes, bands), expected)


def test_tables_count_centers_and_escapes(fitted):
    book = fitted.vectors_of(AC_FAMILIES)
    assert book.tables.counts.shape == (ROWS, SHAPES[0].centers + 1)
    lengths = book.tables.code_lengths()
    assert lengths.min() < lengths.mean() / 2
    assert torch.equal(book.points() * UNIT, (book.points() * UNIT).round())


def test_a_joint_loss_trains_the_centers(fitted):
    model = ImageModel.from_bytes(fitted.to_bytes()).requires_grad_(True)
    batch = Batch(_pixels(2), torch.tensor([50.0, 40.0]))
    chooser = model.chooser(RATE_WEIGHT, prior_lengths(model))
    losses = [joint_loss(model, batch, chooser, squared_error, sigma) for sigma in (2.0, 1e4)]
    losses[0].total.backward()
    for shape in SHAPES:
        centers = model.vectors_of(AC_FAMILIES + shape.index).centers
        assert (centers.grad != 0).any(1).sum() > 5
    assert abs(losses[1].gap) < 0.05 * abs(losses[0].gap)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(train_module, "TABLE_STEPS", (0,))
    monkeypatch.setattr(train_module, "ModelConfig", functools.partial(ModelConfig, **SMALL))


def test_a_recipe_with_vectors_trains_a_model_that_codes_and_that_others_start_from(quick, tmp_path):
    stage = Stage("joint", 2, 1e-3, crop=32, batch=2)
    recipe = Recipe("own", (stage,), holdout=1, vectors=SHAPES[:1])
    model = train_model(recipe, PICTURES, tmp_path / "first")
    assert model.config.vectors == SHAPES[:1]
    picture = PICTURES[0]
    assert decompress(compress(picture, model=model), model=model).size == picture.size
    path = tmp_path / "own.safetensors"
    path.write_bytes(model.to_bytes())
    next_recipe = dataclasses.replace(
        recipe, start=str(path), vectors=(), stages=(Stage("decoder", 1, 1e-3, 32, 2),)
    )
    again = train_model(next_recipe, PICTURES, tmp_path / "second")
    assert again.config.vectors == SHAPES[:1]
    assert torch.equal(again.vectors["0"].centers, model.vectors["0"].centers)


def test_vectors_in_a_recipe_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "r"\n[[stages]]\nkind = "joint"\nsteps = 3\nlearning_rate = 0.1\n'
        "[[vectors]]\nindex = 3\nheight = 2\nwidth = 2\ncenters = 40\n"
    )
    assert read_recipe(path).vectors == (SHAPES[1],)
