"""Fine-tuning for a file of a given size, for any training loop: all that it needs beside the loop."""

import copy
import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from barycode.errors import InvalidInputError
from barycode.weights.checkpoints.sources import StateDict
from barycode.weights.codec import byte_limit, compress
from barycode.weights.request.targets import BitsPerWeight, Size
from barycode.weights.soft_to_hard.centers import Grid
from barycode.weights.soft_to_hard.distances import Distance, relative_error
from barycode.weights.soft_to_hard.distributed import unwrapped
from barycode.weights.soft_to_hard.first_grids import grids_of_entropy, norm
from barycode.weights.soft_to_hard.model import (
    Choice,
    anneal,
    center_parameters,
    chosen_values,
    code_entropy,
    compressible,
    harden,
    hardened_state,
    matrices,
    quantizers,
)
from barycode.weights.soft_to_hard.rate_ceiling import RateCeiling

logger = logging.getLogger(__name__)

MEASUREMENTS = 10  # of the file's size in a run
FIRST_SHRINKAGE, SHRINKAGES = 0.02, 4  # in spacings; how often the interval of it is halved
TOLERANCE = 1.02  # times the bytes asked for: above it training has failed
SPARE = 0.997  # of the bytes asked for: what the codes still change after the last measurement


@dataclass(frozen=True)
class Recipe:
    """How a network is fine-tuned.

    `outputs` takes from the model's result what is to stay as in the float network, `distance` measures it.
    `warm_up` and `ramp` are fractions of the steps: while learning rates rise, and while the rate comes down
    from `head_start` bits a weight above its goal. `sigma` goes from the first to the second number. `price`
    is what a bit a weight costs at least, in units of the loss, while the codes have too many.
    """

    distance: Distance = relative_error
    outputs: Callable[[Any], Any] = lambda result: result
    learning_rate: float = 1e-3
    center_rate: float = 3e-3
    warm_up: float = 0.05
    ramp: float = 0.4
    head_start: float = 0.3
    sigma: tuple[float, float] = (2.0, 4.0)
    price: float = 0.1
    choose: Choice = matrices


class FineTuning:
    """A model on its way to a small file. Put it on its device first; the loop is yours:

        tuning = FineTuning(model, BitsPerWeight(1.5), steps=1000)
        optimizer = tuning.optimizer()
        for x in batches:
            loss = tuning.loss(model(x), x)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        data = tuning.compress()

    The model's weights are put under soft-to-hard quantizers, in place; a copy of it as it was is the
    teacher, unless one is given. Learning rates, sigma and the rate go with the `steps` of the optimizer.
    """

    def __init__(
        self,
        model: nn.Module,
        target: BitsPerWeight | Size,
        *,
        steps: int,
        recipe: Recipe | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        """`target` is the size of the file. Raises InvalidInputError where it cannot be reached."""
        if not isinstance(target, BitsPerWeight | Size):
            raise InvalidInputError(f"The target {target!r}: expected BitsPerWeight(bits) or Size(bytes).")
        if steps < 1:
            raise InvalidInputError(f"Fine-tuning in {steps} steps: expected 1 or more.")
        self.model, self.steps, self.step = model, steps, 0
        self.recipe = recipe or Recipe()
        self.teacher = _frozen(_copied(unwrapped(model)) if teacher is None else teacher)
        limit = byte_limit(StateDict(unwrapped(model).state_dict()), target)
        assert limit is not None
        self.limit = limit
        choose = self.recipe.choose
        goal = _affordable(unwrapped(model), choose, limit)
        grids = grids_of_entropy(chosen_values(model, choose), goal + self.recipe.head_start)
        compressible(model, grids, choose=choose, sigma=self.recipe.sigma[0], hard_forward=True)
        self._count = sum(weights.numel() for _, weights in quantizers(model))
        self._ceiling = RateCeiling(model, goal, ramp=self.recipe.ramp, price=self.recipe.price)
        self._correct()
        self._hook: Any = None

    @property
    def bits(self) -> float:
        """Bits a quantized weight of the codes, without the contexts that the file's coder has."""
        return code_entropy(self.model)

    def size(self) -> int:
        """Bytes of the file, if fine-tuning ended now."""
        return self._shrunk_size(0.0)

    # What the loop needs

    def parameter_groups(self, **options: Any) -> list[dict[str, Any]]:
        """The parameters that are trained, with two learning rates: centers have their own."""
        centers = center_parameters(self.model)
        taken = {id(p) for p in centers}
        others = [p for p in self.model.parameters() if id(p) not in taken and p.requires_grad]
        rates = (self.recipe.learning_rate, others), (self.recipe.center_rate, centers)
        return [{"params": found, "lr": rate, **options} for rate, found in rates if found]

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam, followed."""
        return self.follow(torch.optim.Adam(self.parameter_groups(), betas=(0.9, 0.99)))

    def follow(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Let the run go with the steps of this optimizer, and set its learning rates; return it.

        It needs no scheduler. One optimizer is followed at a time, the last.
        """
        if self._hook is not None:
            self._hook.remove()
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self._hook = optimizer.register_step_post_hook(self._stepped)
        self._set_pace(optimizer)
        return optimizer

    def loss(self, result: Any, *inputs: Any, **named: Any) -> Float[Tensor, ""]:
        """The distance to what the teacher makes of the same inputs, and the rate."""
        return self.distillation(result, *inputs, **named) + self.rate()

    def distillation(self, result: Any, *inputs: Any, **named: Any) -> Float[Tensor, ""]:
        """The distance of the model's `result` for these inputs from the teacher's."""
        outputs = self.recipe.outputs
        self.teacher.to(next(self.model.parameters()).device)
        with torch.no_grad():
            taught = outputs(self.teacher(*inputs, **named))
        return self.recipe.distance(outputs(result), taught)

    def rate(self) -> Float[Tensor, ""]:
        """What is to be added to a loss of your own: zero while the codes are within the ceiling."""
        return self._ceiling.loss(self.model, self.step / self.steps)

    def compress(self) -> bytes:
        """Harden the model, which is plain again, and compress it to at most the bytes asked for.

        Where training did not bring the file there, weights that are in doubt are rounded toward zero until
        it is, with a warning.
        """
        shrink = self._shrinkage()
        state, codes = hardened_state(unwrapped(self.model), shrink=shrink)
        harden(unwrapped(self.model), shrink=shrink)
        return compress(state, hardened=codes)

    def _shrinkage(self) -> float:
        """The least shrinkage, of those tried, with which the file is small enough."""
        size, low, high = self.size(), 0.0, FIRST_SHRINKAGE
        if size <= self.limit:
            return 0.0
        while self._shrunk_size(high) > self.limit:
            low, high = high, 2 * high
        for _ in range(SHRINKAGES):
            middle = (low + high) / 2
            low, high = (middle, high) if self._shrunk_size(middle) > self.limit else (low, middle)
        if size > TOLERANCE * self.limit:
            warnings.warn(
                f"After {self.step} of {self.steps} steps the file would have {size:,} bytes, more than the "
                f"{self.limit:,} asked for; weights were rounded toward zero, up to {0.5 + high:.2f} steps, "
                "until it had not. Take more steps, or a higher price in the recipe.",
                stacklevel=3,
            )
        return high

    def _shrunk_size(self, shrink: float) -> int:
        state, codes = hardened_state(unwrapped(self.model), shrink=shrink)
        return len(compress(state, hardened=codes))

    # Stop and go on

    def state_dict(self) -> dict[str, Any]:
        """Beside those of the model and of the optimizer all that a resumed run needs."""
        return {"step": self.step, "ceiling": self._ceiling.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self._ceiling.load_state_dict(state["ceiling"])

    # With the steps of the optimizer

    def _stepped(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        self.step += 1
        self._set_pace(optimizer)
        if self.step % max(1, self.steps // MEASUREMENTS) == 0 and self.step < self.steps:
            self._correct()

    def _set_pace(self, optimizer: torch.optim.Optimizer) -> None:
        """Learning rates: up, then down along a cosine. Sigma: along a line."""
        done = min(1.0, (self.step + 1) / self.steps)
        factor = min(1.0, done / self.recipe.warm_up) * (1 + math.cos(math.pi * done)) / 2
        for group in optimizer.param_groups:
            group["lr"] = factor * group["initial_lr"]
        first, last = self.recipe.sigma
        anneal(self.model, first + done * (last - first))

    def _correct(self) -> None:
        """Let the ceiling be the entropy with which the file has its size, by the file as it is now."""
        size, bits = self.size(), self.bits
        self._ceiling.goal = max(bits + 8 * (SPARE * self.limit - size) / self._count, 0.0)
        logger.info("step %d: %d bytes at %.4f bits, goal %.4f", self.step, size, bits, self._ceiling.goal)


def _affordable(model: nn.Module, choose: Choice, limit: int) -> float:
    """Bits for each of the chosen weights, when all else has its own: what a file has where they are zero."""
    zeros = compressible(_copied(model), lambda weights: Grid(2 * norm(weights), 1), choose=choose)
    count = sum(weights.numel() for _, weights in quantizers(zeros))
    codes = harden(zeros)
    needed = len(compress(zeros.state_dict(), hardened=codes))
    if needed >= limit:
        raise InvalidInputError(
            f"A file of {limit:,} bytes is too small: what is not quantized has {needed:,} in it already."
        )
    return 8 * (limit - needed) / count


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise InvalidInputError(
            f"The model cannot be copied ({error}); where it has torch.nn.utils.weight_norm, take that of "
            "torch.nn.utils.parametrizations."
        ) from error


def _frozen(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)
