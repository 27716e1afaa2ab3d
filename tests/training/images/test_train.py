import functools
import importlib

import pytest
import torch
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.images import compress, decompress
from barycode.images.model import ImageModel, ModelConfig
from barycode.training.images import Recipe, Stage, read_recipe, train_model
from barycode.training.images import train as train_by_recipe
from barycode.training.images.coded import Batch, code_batch
from barycode.training.images.recipe import Kind
from barycode.training.images.stages import decoder_loss, squared_error
from barycode.training.images.tables import prior_lengths
from barycode.training.images.train import schedule, split
from scenes import scene

train_module = importlib.import_module("barycode.training.images.train")
stages_module = importlib.import_module("barycode.training.images.stages")

PICTURES = [Image.fromarray(scene(200, 208, seed)) for seed in range(3)]


def _recipe(kind: Kind = "decoder", steps: int = 4) -> Recipe:
    return Recipe("small", (Stage(kind, steps, 2e-3, crop=32, batch=2),), holdout=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A small model, saved often, and few pictures to count tables on."""
    monkeypatch.setattr(train_module, "TABLE_STEPS", (0,))
    monkeypatch.setattr(train_module, "SAVE_EVERY", 2)
    small = {"channels": 4, "depth": 1, "hidden": 8}
    monkeypatch.setattr(train_module, "ModelConfig", functools.partial(ModelConfig, **small))


@pytest.mark.parametrize("kind", ["contexts", "decoder", "joint"])
def test_every_stage_makes_a_model_that_codes(kind, tmp_path):
    model = train_model(_recipe(kind, steps=2), PICTURES, tmp_path)
    assert decompress(compress(PICTURES[0], model=model), model=model).size == PICTURES[0].size


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    whole = train_model(_recipe(steps=4), PICTURES, tmp_path / "whole")
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decoder_loss(*arguments)

    monkeypatch.setattr(stages_module, "decoder_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_model(_recipe(steps=4), PICTURES, tmp_path / "parts")
    monkeypatch.setattr(stages_module, "decoder_loss", decoder_loss)
    resumed = train_model(_recipe(steps=4), PICTURES, tmp_path / "parts")
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_training_the_decoder_lowers_its_loss(tmp_path):
    stage = Stage("decoder", 100, 3e-3, crop=32, batch=4)
    recipe = Recipe("small", (stage,), holdout=0, steps=(55.0, 65.0))
    pixels = torch.from_numpy(scene(200, 208)).permute(2, 0, 1)[None].float()
    batch = Batch(pixels, torch.tensor([60.0]))

    def loss(model):
        with torch.no_grad():
            chooser = model.chooser(recipe.rate_weight, prior_lengths(model))
            return decoder_loss(model, code_batch(model, batch, chooser), squared_error).item()

    torch.manual_seed(recipe.seed)
    untrained = ImageModel(train_module.ModelConfig("small"))
    assert loss(train_model(recipe, PICTURES[:1], tmp_path)) < 0.97 * loss(untrained)


def test_held_out_pictures_are_not_trained_on():
    pictures = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(40)]
    parts = split(pictures, Recipe("r", (), holdout=3))
    reds = lambda images: {image.getpixel((0, 0))[0] for image in images}  # noqa: E731
    assert len(parts.held_out) == 3
    assert not reds(parts.train) & reds(parts.held_out)
    assert reds(parts.train) | reds(parts.held_out) == set(range(40))


def test_the_learning_rate_rises_stays_and_falls():
    factors = [schedule(step, 1000) for step in range(1000)]
    assert factors[0] < 0.02
    assert factors[200] == 1
    assert factors[-1] == pytest.approx(0.02)


RECIPE = """
name = "r"
metric = "ms-ssim"
[policy]
exponent = 0.5
[[stages]]
kind = "decoder"
steps = 3
learning_rate = 1e-4
"""


def test_a_recipe_is_read_from_toml(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(RECIPE)
    recipe = read_recipe(path)
    assert recipe.stages == (Stage("decoder", 3, 1e-4),)
    assert recipe.policy.exponent == 0.5


@pytest.mark.parametrize(
    "text",
    [
        'name = "r"\nspeed = 3\n',
        'name = "r"\n[[stages]]\nkind = "magic"\nsteps = 1\nlearning_rate = 1\n',
        'name = "r"\n[[stages]]\nkind = "joint"\nannealing = "hot"\nsteps = 1\nlearning_rate = 1\n',
        'name = "r"\n[[stages]]\nkind = "decoder"\n',
        "metric = 'mse'\n",
        "not toml",
    ],
)
def test_a_faulty_recipe_is_one_typed_error(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError):
        read_recipe(path)


def test_pictures_that_are_too_small_for_the_tables_are_refused_before_any_step(tmp_path):
    with pytest.raises(InvalidInputError, match="at least 192 x 192"):
        train_model(_recipe(), [Image.new("RGB", (191, 400))] * 3, tmp_path)
    assert not list(tmp_path.iterdir())


def test_train_writes_model_and_recipe(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(PICTURES):
        picture.save(folder / f"{i}.png")
    train_by_recipe(_recipe(steps=1), [folder], tmp_path / "out")
    assert (tmp_path / "out" / "recipe.json").exists()
    assert decompress(
        compress(PICTURES[0], model=tmp_path / "out/small.safetensors"),
        model=tmp_path / "out/small.safetensors",
    )
