"""Training of picture models."""

from pathlib import Path

from barycode.container import write_atomic
from barycode.errors import MissingDataError
from barycode.images.model import ImageModel
from barycode.training.datasets import open_pictures
from barycode.training.engine import Engine
from barycode.training.images.recipe import Recipe, Stage, read_recipe
from barycode.training.images.train import picture_engine, train_model

__all__ = ["Recipe", "Stage", "picture_engine", "read_recipe", "train", "train_model"]


def train(recipe: Recipe, folders: list[Path], output: Path, engine: Engine | None = None) -> ImageModel:
    """Train by a recipe on the pictures of some folders or archives; writes `output/NAME.safetensors` and the
    recipe beside it. Of the processes of `engine` the first writes. Raises MissingDataError without pictures.
    """
    engine = engine or Engine()
    pictures = [picture for folder in folders for picture in open_pictures(folder)]
    if not pictures:
        raise MissingDataError(f"There are no pictures in {', '.join(map(str, folders))}.")
    engine.once(lambda: _keep(recipe, output))
    model = train_model(recipe, pictures, output, engine)
    engine.once(lambda: model.save(output / f"{recipe.name}.safetensors"))
    return model


def _keep(recipe: Recipe, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    write_atomic(output / "recipe.json", recipe.to_json().encode(), force=True)
