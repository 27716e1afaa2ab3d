"""An autoencoder that also has to fool a discriminator: VQGAN without a perceptual network."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LARGEST_WEIGHT = 1e3


class Discriminator(nn.Module):
    """Logits of patches being real (Isola et al. 2017): three convolutions of stride 2 and one more."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.GroupNorm(8, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.GroupNorm(8, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b 1 h w"]:
        logits: Tensor = self.layers(pictures - 0.5)
        return logits


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: mean of relu(1 - real) and relu(1 + fake)."""
    return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())


class Adversary:
    """The discriminator's side of a run: its network, its optimizer, and what it asks of the autoencoder.

    The weight of the adversarial term makes its gradient at the decoder's last layer `share` of that of the
    reconstruction (Esser et al. 2021, eq. 7). Hinge losses.
    """

    def __init__(self, share: float = 0.4, learning_rate: float = 3e-4) -> None:
        self.share = share
        self.discriminator = Discriminator()
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), learning_rate, betas=(0.5, 0.9))

    def generator_loss(self, reconstruction: Tensor, fake: Tensor, last: Tensor) -> Tensor:
        """What the autoencoder adds to its loss, for its pictures `fake`."""
        self.discriminator.requires_grad_(False)
        adversarial = -self.discriminator(fake).mean()
        self.discriminator.requires_grad_(True)
        terms = (reconstruction, adversarial)
        pulls = [torch.autograd.grad(term, last, retain_graph=True)[0].norm() for term in terms]
        weight = self.share * (pulls[0] / pulls[1].clamp_min(1e-6)).clamp_max(LARGEST_WEIGHT)
        return weight.detach() * adversarial

    def learn(self, real: Tensor, fake: Tensor) -> None:
        """One step of the discriminator."""
        loss = hinge(self.discriminator(real), self.discriminator(fake.detach()))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
