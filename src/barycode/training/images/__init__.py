"""Training of picture models."""

from pathlib import Path

from barycode.errors import MissingDataError
from barycode.images.model import ImageModel
from barycode.training.datasets import open_pictures
from barycode.training.images.recipe import Recipe, Stage, read_recipe
from barycode.training.images.train import train_model

__all__ = ["Recipe", "Stage", "read_recipe", "train", "train_model"]


def train(recipe: Recipe, folders: list[Path], output: Path) -> ImageModel:
    """Train by a recipe on the pictures of some folders or archives; writes `output/NAME.safetensors` and
    the recipe beside it.
    """
    pictures = [picture for folder in folders for picture in open_pictures(folder)]
    if not pictures:
        raise MissingDataError(f"There are no pictures in {', '.join(map(str, folders))}.")
    output.mkdir(parents=True, exist_ok=True)
    (output / "recipe.json").write_text(recipe.to_json())
    model = train_model(recipe, pictures, output)
    model.save(output / f"{recipe.name}.safetensors")
    return model
