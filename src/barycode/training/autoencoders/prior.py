"""An autoregressive prior over the codes of an autoencoder: what a generator would learn from them."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from barycode.errors import InvalidInputError


class CodePrior(nn.Module):
    """A causal transformer over sequences of symbols (B, T) below `symbols`, place by place, part by part.

    places: T; parts: symbols at each place of the map, as those of residual codes or votes. A symbol enters
    as its embedding plus those of its place and its part; the first position sees a start vector.
    """

    def __init__(
        self, symbols: int, places: int, parts: int = 1, *, width: int = 128, layers: int = 4
    ) -> None:
        super().__init__()
        if places % parts:
            raise InvalidInputError(f"{places} symbols are not a whole number of places of {parts} parts.")
        self.places = places
        self.symbol = nn.Embedding(symbols * parts, width)
        nn.init.normal_(self.symbol.weight, std=0.02)
        self.position = nn.Parameter(0.02 * torch.randn(places, width))
        self.start = nn.Parameter(torch.zeros(width))
        layer = nn.TransformerEncoderLayer(
            width, width // 32, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Parameter(0.02 * torch.randn(parts, symbols, width))
        mask = nn.Transformer.generate_square_subsequent_mask(places)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("part", torch.arange(places) % parts, persistent=False)

    mask: Tensor
    part: Tensor

    def forward(self, sequences: Int64[Tensor, "b t"]) -> Float[Tensor, "b t symbols"]:
        """Logits of each symbol given all before it; also of the first `T' + 1` of a beginning of T'."""
        length = min(self.places, sequences.shape[1] + 1)
        known = sequences[:, : length - 1]
        symbols = self.heads.shape[1]
        entered = self.symbol(known + symbols * self.part[: length - 1])
        start = self.start.expand(len(sequences), 1, -1)
        x = torch.cat([start, entered], 1) + self.position[:length]
        x = self.norm(self.layers(x, mask=self.mask[:length, :length], is_causal=True))
        return torch.einsum("btw,tsw->bts", x, self.heads[self.part[:length]])

    def bits(self, sequences: Int64[Tensor, "b t"]) -> Float[Tensor, ""]:
        """Mean code length of a symbol, in bits."""
        logits = self(sequences)
        return functional.cross_entropy(logits.flatten(0, 1), sequences.flatten()) / math.log(2)

    @torch.no_grad()
    def sample(self, count: int) -> Int64[Tensor, "b t"]:
        """Sequences drawn symbol by symbol, from the global random state of torch."""
        self.eval()
        sequences = torch.empty(count, 0, dtype=torch.int64)
        for _ in range(self.places):
            probabilities = torch.softmax(self(sequences)[:, -1], -1)
            sequences = torch.cat([sequences, torch.multinomial(probabilities, 1)], 1)
        return sequences


class PriorTask:
    """Trains a prior on sequences: the task of a `Loop`."""

    def __init__(
        self, train: Int64[Tensor, "n t"], held_out: Int64[Tensor, "m t"], symbols: int, parts: int, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.train, self.held_out = train, held_out
        self.prior = CodePrior(symbols, train.shape[1], parts)
        self.optimizer = torch.optim.AdamW(self.prior.parameters(), 1e-3, weight_decay=0.01)

    def step(self) -> float:
        self.prior.train()
        chosen = torch.randint(len(self.train), (32,))
        bits = self.prior.bits(self.train[chosen])
        self.optimizer.zero_grad()
        bits.backward()
        nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        self.optimizer.step()
        return bits.item()

    def validate(self) -> dict[str, float]:
        """Bits a symbol on the codes held out."""
        return {"bits": mean_bits(self.prior, self.held_out)}

    def state_dict(self) -> dict[str, Any]:
        return {"prior": self.prior.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.prior.load_state_dict(state["prior"])
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def mean_bits(prior: CodePrior, sequences: Int64[Tensor, "n t"]) -> float:
    """Mean code length of a symbol over all sequences, in bits."""
    prior.eval()
    sums = [float(prior.bits(block)) * len(block) for block in sequences.split(200)]
    return sum(sums) / len(sequences)
