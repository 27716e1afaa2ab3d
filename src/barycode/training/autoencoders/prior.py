"""An autoregressive prior over the codes of an autoencoder: what a generator would learn from them."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from barycode.errors import InvalidInputError

HEAD = 32  # channels of one head of attention


class Memory:
    """Keys and values of the places that attention has seen, (B, heads, T, c) with room for all of them."""

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.keys, self.values, self.length = torch.empty(shape), torch.empty(shape), 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add one place and return all so far."""
        place, self.length = self.length, self.length + 1
        self.keys[:, :, place : self.length], self.values[:, :, place : self.length] = keys, values
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class CausalBlock(nn.Module):
    """x + attention to what came before, + a perceptron, each behind a norm (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.enter, self.leave = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "b t w"], memory: Memory | None = None) -> Float[Tensor, "b t w"]:
        """All places of a sequence or, with a memory of those before it, the next one."""
        parts = self.enter(self.before_attention(x)).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        if memory is not None:
            key, value = memory.extend(key, value)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=memory is None)
        x = x + self.leave(seen.transpose(1, 2).flatten(2))
        added: Tensor = self.perceptron(self.before_perceptron(x))
        return x + added


class CodePrior(nn.Module):
    """A causal transformer over sequences of symbols (B, T) below `symbols`, place by place, part by part.

    places: T; parts: symbols at each place of the map, as those of residual or sparse convex codes. A symbol
    enters as its embedding plus those of its place and its part; the first position sees a start vector.
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
        self.blocks = nn.ModuleList([CausalBlock(width, width // HEAD) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Parameter(0.02 * torch.randn(parts, symbols, width))
        self.register_buffer("part", torch.arange(places) % parts, persistent=False)

    part: Tensor

    def forward(self, sequences: Int64[Tensor, "b t"]) -> Float[Tensor, "b t symbols"]:
        """Logits of each symbol given all before it."""
        start = self.start.expand(len(sequences), 1, -1)
        entered = self._embedded(sequences[:, :-1], self.part[:-1])
        x = torch.cat([start, entered], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return torch.einsum("btw,tsw->bts", self.norm(x), self.heads[self.part])

    def bits(self, sequences: Int64[Tensor, "b t"]) -> Float[Tensor, ""]:
        """Mean code length of a symbol, in bits."""
        logits = self(sequences)
        return functional.cross_entropy(logits.flatten(0, 1), sequences.flatten()) / math.log(2)

    @torch.no_grad()
    def sample(self, count: int) -> Int64[Tensor, "b t"]:
        """Sequences drawn symbol by symbol, from the global random state of torch."""
        width = len(self.start)
        memories = [Memory((count, width // HEAD, self.places, HEAD)) for _ in self.blocks]
        entered, drawn = self.start.expand(count, 1, -1), []
        for part, position in zip(self.part, self.position, strict=True):
            x = entered + position
            for block, memory in zip(self.blocks, memories, strict=True):
                x = block(x, memory)
            logits = self.norm(x[:, 0]) @ self.heads[part].T
            drawn.append(torch.multinomial(torch.softmax(logits, -1), 1))
            entered = self._embedded(drawn[-1], part)
        return torch.cat(drawn, 1)

    def _embedded(self, symbols: Tensor, part: Tensor) -> Tensor:
        embedded: Tensor = self.symbol(symbols + self.heads.shape[1] * part)
        return embedded


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
