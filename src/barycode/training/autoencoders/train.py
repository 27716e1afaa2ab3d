"""One run: an autoencoder by a recipe, resumable at any checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.training.autoencoders.adversarial import Adversary
from barycode.training.autoencoders.loop import Loop
from barycode.training.autoencoders.methods import Method, find_method
from barycode.training.autoencoders.network import Autoencoder, Reconstruction
from barycode.training.autoencoders.pictures import Batches, Pictures, in_order
from barycode.training.autoencoders.start import standardise
from barycode.training.datasets.picture_set import Images
from barycode.training.engine import Engine

VALIDATED = 200  # pictures behind each point of the curve
START_BATCHES = 8  # whose latents start the codebook


@dataclass(frozen=True)
class Recipe:
    """What a run is: everything that its numbers depend on.

    halvings: the latents are 2^halvings times smaller than the picture. adversary_from: the step from which
    the autoencoder also has to fool a discriminator; None for never. transform: whether the network starts
    as a block transform and its inverse, or from random weights.
    """

    data: str
    method: str
    codebook_size: int = 512
    seed: int = 0
    steps: int = 10_000
    batch: int = 32
    learning_rate: float = 3e-4
    halvings: int = 2
    adversary_from: int | None = None
    transform: bool = True

    @property
    def name(self) -> str:
        """The run's folder, and what its row is known by."""
        parts = [self.data, self.method, f"k{self.codebook_size}", f"n{self.steps}", f"b{self.batch}"]
        parts += [f"f{2**self.halvings}"] if self.halvings != 2 else []
        parts += [f"gan{self.adversary_from}"] if self.adversary_from is not None else []
        parts += [] if self.transform else ["random"]
        return "-".join([*parts, f"s{self.seed}"])

    def row(self) -> dict[str, Any]:
        """The recipe's part of a result row."""
        return asdict(self)


class Run:
    """The task of training the autoencoder of a recipe, and the loop around it in a folder of its own."""

    def __init__(
        self, recipe: Recipe, pictures: Pictures, folder: Path, engine: Engine | None = None
    ) -> None:
        self.recipe, self.pictures, self.engine = recipe, pictures, engine or Engine()
        if self.engine.world > 1 and recipe.adversary_from is not None:
            raise InvalidInputError("A run with an adversary is one of one process: leave out torchrun.")
        torch.manual_seed(recipe.seed)
        self.method: Method = find_method(recipe.method)
        self.model = build(recipe)
        self.maintenance = self.method.maintenance(self.model.quantizer, self._vectors_a_step())
        self.alternation = self.method.alternation_of(self.model.quantizer)
        self.schedule = self.method.schedule(recipe.steps)
        self.optimizer = optimizer(self.model, recipe.learning_rate, self.method.codebook_rate)
        self.adversary = None if recipe.adversary_from is None else Adversary()
        self.batches = Batches(pictures.train, recipe.batch, recipe.seed)
        self.variance = pictures.variance
        self.loop = Loop(self, recipe.steps, folder / recipe.name, self.engine)
        if not self.loop.resume():
            self._start()
        self.forward = self.engine.setup(self.model, self.optimizer)

    def step(self) -> float:
        """One step of the network and of everything around it; the batch's squared error.

        Raises InvalidInputError when the loss is no finite number any more.
        """
        self.model.train()
        pictures = self.engine.share(self.batches.draw())
        with self.engine.noise(self.recipe.seed, self.batches.drawn):
            self._fit_codebook(pictures)
            output = self.forward(pictures)
        error = functional.mse_loss(output.pictures, pictures)
        loss = self._loss(error, output)
        adversary = self._adversary()
        if adversary is not None:
            loss = loss + adversary.generator_loss(error / self.variance, output.pictures, self._last_layer())
        if not math.isfinite(loss.item()):
            raise InvalidInputError(f"The loss of {self.recipe.name} became {loss.item()}.")
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        if adversary is not None:
            adversary.learn(pictures, output.pictures)
        self._keep_codebook()
        return self.engine.mean(error).item()

    def validate(self) -> dict[str, float]:
        """Squared error on pictures held out, with hard codes where there are any."""
        return {"mse": squared_error(self.model, self.pictures.held_out[:VALIDATED])}

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, its recipe among it."""
        return {
            "recipe": self.recipe.row(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "kept": {name: part.state_dict() for name, part in self._kept()},
            "batches": self.batches.state_dict(),
            "adversary": None if self.adversary is None else self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, of any number of processes."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, part in self._kept():
            part.load_state_dict(state["kept"][name])
        self.batches.load_state_dict(state["batches"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])

    def _adversary(self) -> Adversary | None:
        """The adversary, once its time has come."""
        start = self.recipe.adversary_from
        return self.adversary if start is not None and self.batches.drawn > start else None

    def _last_layer(self) -> Tensor:
        """The weights that make the pictures: where the pulls of two losses are compared."""
        return next(iter(self.model.decoder[-1].parameters()))

    def _loss(self, error: Tensor, output: Reconstruction) -> Tensor:
        if self.method.log_likelihood:  # of the error of all ranks: the factor is 1 for one
            distortion = 0.5 * error.log() * (error.detach() / self.engine.mean(error))
        else:
            distortion = error / self.variance
        return distortion if output.quantized is None else distortion + output.quantized.loss

    def _fit_codebook(self, pictures: Tensor) -> None:
        """Let the codebook take steps of its own, where it does."""
        if self.alternation is not None:
            with torch.no_grad():
                latents = self.model.latents(pictures).movedim(1, -1)
            self.alternation.fit(latents)

    def _keep_codebook(self) -> None:
        """What happens to the codebook after a step of the network."""
        if self.maintenance is not None:
            self.maintenance.step(self.optimizer)
        if self.schedule is not None:
            self.model.quantizer.anneal_to(self.schedule.step())  # type: ignore[union-attr, operator]

    def _kept(self) -> list[tuple[str, Any]]:
        """What of the codebook's upkeep there is, by name."""
        names = ("maintenance", "alternation", "schedule")
        return [(name, getattr(self, name)) for name in names if getattr(self, name) is not None]

    def _vectors_a_step(self) -> int:
        height, width = (side // self.model.factor for side in self.pictures.train.shape[1:3])
        return self.recipe.batch * height * width

    @torch.no_grad()
    def _start(self) -> None:
        """Set what depends on pictures: the scale of a random encoder's latents, and the codebook."""
        batches = Batches(self.pictures.train, self.recipe.batch, self.recipe.seed)
        pictures = [batches.draw() for _ in range(START_BATCHES)]
        if not self.recipe.transform:
            standardise(self.model.encoder, torch.cat(pictures) - 0.5)
        if self.model.quantizer is not None and self.method.start is not None:
            latents = [self.model.latents(batch).movedim(1, -1) for batch in pictures]
            self.model.quantizer.initialize(torch.cat(latents), self.method.start)


def optimizer(model: Autoencoder, rate: float, codebook_rate: float) -> torch.optim.Optimizer:
    """Adam for what is not frozen; at `codebook_rate` times `rate` for what is the quantizer's."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            inside = name.startswith("quantizer.")
            groups.setdefault(rate * codebook_rate if inside else rate, []).append(parameter)
    return torch.optim.Adam([{"params": found, "lr": lr} for lr, found in groups.items()])


@torch.no_grad()
def squared_error(model: Autoencoder, images: Images) -> float:
    """Mean squared error of an autoencoder in evaluation mode, pictures in [0, 1]."""
    model.eval()
    sums = [float((model(batch).pictures - batch).double().square().sum()) for batch in in_order(images, 100)]
    return sum(sums) / images.size


def build(recipe: Recipe) -> Autoencoder:
    """The untrained autoencoder of a recipe."""
    method = find_method(recipe.method)
    dim = method.latent_dim(recipe.codebook_size)
    quantizer = None if method.build is None else method.build(recipe.codebook_size, dim)
    return Autoencoder(quantizer, dim, halvings=recipe.halvings, transform=recipe.transform)
