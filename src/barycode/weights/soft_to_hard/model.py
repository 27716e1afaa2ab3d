"""Soft-to-hard quantization of the weights of any module, for any training loop."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from barycode.errors import InvalidInputError
from barycode.rate.entropy import soft_cross_entropy
from barycode.weights.hardened import Hardened
from barycode.weights.soft_to_hard.centers import Centers, CentersFor
from barycode.weights.soft_to_hard.parametrization import SoftToHard

Choice = Callable[[str, Tensor], bool]
"""Says by name and value whether a parameter is quantized."""


def matrices(name: str, parameter: Tensor) -> bool:
    """Parameters of two dimensions or more that are trained: not biases, not normalisation, none frozen."""
    return parameter.ndim >= 2 and parameter.requires_grad


def compressible(  # the one function that sees everything a user may choose
    model: nn.Module,
    centers: CentersFor,
    *,
    choose: Choice = matrices,
    shared: bool = False,
    sigma: float = 2.0,
    hard_forward: bool = False,
) -> nn.Module:
    """Put the chosen parameters of `model` under soft-to-hard quantizers, in place, and return it.

    Every tensor gets its own centers, or all of them the same ones if `shared`. Train as ever, with
    `beta * rate_loss(model)` added to the loss; `anneal(model, sigma)` from a schedule; `harden(model)`
    in the end. May be called again for further parameters. The model's state_dict holds all of it that a
    resumed run needs. Raises InvalidInputError where there is nothing to quantize, or a tied parameter.
    """
    chosen = [place for place in _places(model) if choose(place.path, place.value)]
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise InvalidInputError(
            "The model is wrapped in DistributedDataParallel, which does not learn of later parameters: "
            "call compressible before it is wrapped."
        )
    _check(chosen)
    common = centers(torch.cat([place.value.detach().flatten() for place in chosen])) if shared else None
    for place in chosen:
        own = common if common is not None else centers(place.value.detach().flatten())
        quantizer = SoftToHard(own.to(place.value.device), sigma, hard_forward=hard_forward)
        parametrize.register_parametrization(place.module, place.name, quantizer.to(place.value.device))
        quantizer.train(model.training)
    return model


def rate_loss(model: nn.Module) -> Float[Tensor, ""]:
    """Bits a weight: the mean over all quantized weights of -sum_j q_j log2 p_j (Agustsson et al. 2017).

    q are the soft histograms, p the hard ones, of all weights that share their centers. What an entropy coder
    without contexts pays when sigma is infinite.
    """
    return _mean_bits(model, SoftToHard.soft_counts)


@torch.no_grad()
def code_entropy(model: nn.Module) -> float:
    """Bits a weight of the hard codes: the limit of `rate_loss` for infinite sigma."""
    return float(_mean_bits(model, SoftToHard.hard_counts))


def _mean_bits(model: nn.Module, counts: Callable[[SoftToHard, Tensor], Tensor]) -> Tensor:
    """-sum_j q_j log2 p_j, q from `counts` and p from hard ones, by centers, over all weights."""
    soft, hard = defaultdict(list), defaultdict(list)
    for quantizer, weights in quantizers(model):
        soft[quantizer.centers].append(counts(quantizer, weights))
        hard[quantizer.centers].append(quantizer.hard_counts(weights))
    if not soft:
        raise InvalidInputError("No weight of the model is quantized: call compressible(model, ...) first.")
    bits, count = [], 0.0
    for book in soft:
        q, p = (torch.stack(found[book]).sum(0) for found in (soft, hard))
        bits.append(soft_cross_entropy(q, p / p.sum().clamp_min(1)))
        count += float(p.sum())
    return torch.stack(bits).sum() / max(count, 1.0)


def anneal(model: nn.Module, sigma: float) -> None:
    """Set sigma of all quantizers of the model."""
    for quantizer, _ in quantizers(model):
        quantizer.anneal(sigma)


def prune(model: nn.Module, fraction: float) -> None:
    """Set a fraction of all quantized weights to zero for good: those smallest against their spacing.

    Before a state_dict of a pruned model is loaded, prune the model that is to hold it, by any fraction.
    """
    if not 0 <= fraction < 1:
        raise InvalidInputError(f"Pruning a fraction of {fraction}: expected at least 0 and less than 1.")
    pairs = list(quantizers(model))
    sizes = torch.cat([(weights / q.centers.spacing()).detach().abs().flatten() for q, weights in pairs])
    count = int(fraction * len(sizes))
    limit = sizes.kthvalue(count).values if count else sizes.new_tensor(-1)
    for quantizer, weights in pairs:
        quantizer.kept = (weights / quantizer.centers.spacing()).detach().abs() > limit


@torch.no_grad()
def harden(model: nn.Module) -> dict[str, Hardened]:
    """Make every quantized weight its nearest center, a plain parameter again, and return the codes by name.

    Then `compress(model.state_dict(), hardened=codes)` is a file that holds these weights exactly.
    """
    codes = {}
    for place in list(_quantized(model)):
        codes[place.path] = place.quantizer.hardened(place.value)
        trained = place.quantizer.training
        place.quantizer.eval()
        parametrize.remove_parametrizations(place.module, place.name, leave_parametrized=True)
        place.quantizer.train(trained)
    return codes


def quantizers(model: nn.Module) -> Iterator[tuple[SoftToHard, Tensor]]:
    """Every quantizer with the weights that are under it, those that the optimizer moves."""
    for place in _quantized(model):
        yield place.quantizer, place.value


def center_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The learned parameters of centers and grids, each once: give them a learning rate of their own."""
    books = dict.fromkeys(quantizer.centers for quantizer, _ in quantizers(model))  # in the model's order
    return [p for book in books for p in book.parameters() if p.requires_grad]


@dataclass(frozen=True)
class _Place:
    """Where a parameter is: module.name, known to the whole model as `path`."""

    module: nn.Module
    name: str
    path: str
    value: Tensor


@dataclass(frozen=True)
class _QuantizedPlace(_Place):
    quantizer: SoftToHard


def _places(model: nn.Module) -> Iterator[_Place]:
    """Plain parameters of floating point, tied ones at every place they have."""
    for prefix, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList | Centers | SoftToHard):
            continue
        for name, value in module.named_parameters(recurse=False, remove_duplicate=False):
            if value.dtype.is_floating_point:
                yield _Place(module, name, f"{prefix}.{name}".lstrip("."), value)


def _quantized(model: nn.Module) -> Iterator[_QuantizedPlace]:
    for prefix, module in model.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        for name, chain in module.parametrizations.items():
            if len(chain) == 1 and isinstance(chain[0], SoftToHard):
                yield _QuantizedPlace(module, name, f"{prefix}.{name}".lstrip("."), chain.original, chain[0])


def _check(chosen: list[_Place]) -> None:
    if not chosen:
        raise InvalidInputError("No parameter of the model was chosen: nothing to quantize.")
    seen: dict[int, str] = {}
    for place in chosen:
        first = seen.setdefault(id(place.value), place.path)
        if first != place.path:
            raise InvalidInputError(
                f"{first!r} and {place.path!r} are the same parameter: leave tied parameters out."
            )
