"""How a run keeps its codebook."""

from dataclasses import replace

import pytest
import torch

from barycode.quantizers import AffineVectorQuantizer, CodebookHealth, EmaUpdate, revive
from barycode.training.autoencoders.alternation import Alternation
from barycode.training.autoencoders.methods import METHODS, REVIVAL, Method
from barycode.training.autoencoders.train import Recipe, Run

RECIPE = Recipe("made", "vq", codebook_size=8, steps=6, batch=8)
EVERY = 2


class ByHand:
    """What the committed rows were trained with: averages after each step, and every so many steps code
    vectors that no vector chose meanwhile move onto what they had to code.
    """

    def __init__(self, run: Run, method: Method) -> None:
        self.quantizer, self.method, self.optimizer = run.model.quantizer, method, run.optimizer
        self.healths = [CodebookHealth(codebook.size) for codebook in self.quantizer.codebooks]
        self.number = 0
        if method.update is not None:
            for codebook in self.quantizer.codebooks:
                codebook.requires_grad_(False)
        self.quantizer.register_forward_hook(self.look)

    def look(self, quantizer, arguments, result) -> None:
        if quantizer.training:
            self.z, self.indices = arguments[0].detach(), result.indices

    def step(self, optimizer=None) -> None:
        self.number += 1
        if self.method.update is not None:
            self.method.update(self.quantizer, self.quantizer.statistics(self.z, self.indices))
        for health, part in zip(self.healths, self.quantizer.parts(self.indices), strict=True):
            health.update(part)
        if self.method.revival and self.number % self.method.revival == 0:
            z = self.z.reshape(-1, self.quantizer.dim)
            coded = self.quantizer.assigned(z, self.quantizer.encode(z))
            for health, (codebook, vectors, _) in zip(self.healths, coded, strict=True):
                revive(codebook, health.dead_codes, vectors, optimizer=self.optimizer)
                health.reset()


@pytest.mark.parametrize("size", [8, 23])
@pytest.mark.parametrize(
    "name",
    ["vq-ema", "vq-revive", "vq-affine", "rotation", "residual-2", "product-2", "hard-2-3", "sparse-2-3"],
)
def test_maintenance_is_bit_for_bit_what_the_published_rows_were_trained_with(
    name: str, size: int, pictures, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    method = replace(METHODS[name], revival=min(METHODS[name].revival, EVERY))
    monkeypatch.setitem(METHODS, name, method)
    recipe = replace(RECIPE, method=name, codebook_size=size)

    def trained(run: Run) -> dict[str, torch.Tensor]:
        for _ in range(recipe.steps):
            run.step()
        return run.model.state_dict()

    maintained = trained(Run(recipe, pictures, tmp_path / "maintained"))
    monkeypatch.setattr(Method, "maintenance", lambda *_: None)
    run = Run(recipe, pictures, tmp_path / "by hand")
    run.maintenance = ByHand(run, method)
    by_hand = trained(run)
    assert maintained.keys() == by_hand.keys()
    for key, value in maintained.items():
        assert torch.equal(by_hand[key], value), key


def test_revival_comes_after_so_many_steps(pictures, tmp_path):
    run = Run(replace(RECIPE, method="vq-revive"), pictures, tmp_path)
    per_step = run.maintenance.patience * 8 / REVIVAL
    latents = run.model.latents(torch.zeros(8, 3, *pictures.train.shape[1:3]))
    assert per_step == latents[:, 0].numel()
    assert run.maintenance.update == EmaUpdate(decay=0.99)


def test_alternation_fits_the_codebook_and_leaves_it_out_of_the_networks_optimizer():
    torch.manual_seed(0)
    quantizer = AffineVectorQuantizer(8, 3)
    alternation = Alternation(quantizer, learning_rate=0.5, steps=20)
    z = torch.randn(200, 3) + 2
    before = quantizer(z).losses["commitment_loss"]
    alternation.fit(z)
    after = quantizer(z)
    assert after.losses["commitment_loss"] < before / 2
    assert "codebook_loss" not in after.losses
