"""Soft-to-hard quantization of the weights of any module, for any training loop."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softshrink
from torch.nn.utils import parametrize

from barycode.errors import InvalidInputError
from barycode.rate.entropy import soft_cross_entropy
from barycode.weights.hardened import Hardened
from barycode.weights.soft_to_hard.centers import CentersFor
from barycode.weights.soft_to_hard.distributed import unwrapped, wrap_again
from barycode.weights.soft_to_hard.parametrization import SoftToHard
from barycode.weights.soft_to_hard.places import (
    Place,
    QuantizedPlace,
    free_places,
    make_plain,
    quantized_places,
)

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

    Every tensor gets its own centers, or all of them the same ones if `shared`; a tied parameter is quantized
    once, at all its places if one is chosen. What weight_norm or another parametrization makes is quantized
    as it comes out. Train as ever, with `beta * rate_loss(model)` added to the loss; `anneal(model, sigma)`
    from a schedule; `harden(model)` in the end. May be called again for further parameters, and for a model
    that DistributedDataParallel wraps already. The model's state_dict holds all of it that a resumed run
    needs. Raises InvalidInputError where there is nothing to quantize.
    """
    chosen = _chosen(unwrapped(model), choose)
    if not chosen:
        raise InvalidInputError("No parameter of the model was chosen: nothing to quantize.")
    values = [places[0].value.detach() for places in chosen]
    common = centers(torch.cat([value.flatten() for value in values])) if shared else None
    for places, value in zip(chosen, values, strict=True):
        own = common if common is not None else centers(value.flatten())
        quantizer = SoftToHard(own, sigma, hard_forward=hard_forward).to(value.device)
        for place in places:
            parametrize.register_parametrization(place.module, place.name, quantizer)
        quantizer.train(model.training)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        wrap_again(model)
    return model


def chosen_values(model: nn.Module, choose: Choice = matrices) -> list[Tensor]:
    """The weights that `compressible` would quantize, tied ones once."""
    return [places[0].value.detach() for places in _chosen(unwrapped(model), choose)]


@torch.enable_grad()
def _chosen(model: nn.Module, choose: Choice) -> list[list[Place]]:
    """The places of each chosen parameter."""
    tied: defaultdict[int, list[Place]] = defaultdict(list)
    for place in free_places(model):
        tied[id(place.value)].append(place)
    return [places for places in tied.values() if any(choose(place.path, place.value) for place in places)]


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
    for codebook in soft:
        q, p = (torch.stack(found[codebook]).sum(0) for found in (soft, hard))
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
    Raises InvalidInputError unless 0 <= fraction < 1.
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
def harden(model: nn.Module, *, shrink: float = 0.0) -> dict[str, Hardened]:
    """Make every quantized weight its nearest center, a plain parameter again, and return the codes by name.

    With `shrink`, weights first come nearer to zero by so many spacings, for fewer bits: codes that are in
    doubt take the smaller value. Then `compress(model.state_dict(), hardened=codes)` is a file that holds
    these weights exactly.
    """
    places = list(quantized_places(model))
    found = _hardened(places, shrink)
    for place in places:
        make_plain(place, found[place.quantizer].tensor().to(place.value.device))
    return {place.path: found[place.quantizer] for place in _first(places)}


@torch.no_grad()
def hardened_state(model: nn.Module, *, shrink: float = 0.0) -> tuple[dict[str, Tensor], dict[str, Hardened]]:
    """The state dict and the codes that the model would have after `harden`; it trains on undisturbed."""
    places = list(quantized_places(model, every_name=True))
    found = _hardened(places, shrink)
    tensors = {quantizer: code.tensor() for quantizer, code in found.items()}
    by_prefix = {place.prefix: place for place in places}
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        place = next((by_prefix[prefix] for prefix in _prefixes(name) if prefix in by_prefix), None)
        if place is None:
            state[name] = tensor
        else:
            state[place.path] = tensors[place.quantizer]
    return state, {place.path: found[place.quantizer] for place in _first(places)}


def _prefixes(name: str) -> Iterator[str]:
    """What stands before each of the dots of a name, with the dot."""
    return (name[: i + 1] for i, letter in enumerate(name) if letter == ".")


def _hardened(places: list[QuantizedPlace], shrink: float) -> dict[SoftToHard, Hardened]:
    return {
        place.quantizer: place.quantizer.hardened(
            softshrink(place.value, shrink * float(place.quantizer.centers.spacing()))
        )
        for place in _first(places)
    }


def _first(places: Iterable[QuantizedPlace]) -> list[QuantizedPlace]:
    """The first place of each quantizer: the name that tied weights have in a file."""
    return list({place.quantizer: place for place in reversed(list(places))}.values())[::-1]


def quantizers(model: nn.Module) -> Iterator[tuple[SoftToHard, Tensor]]:
    """Every quantizer with the weights that are under it, those that the optimizer moves."""
    for place in _first(quantized_places(model)):
        yield place.quantizer, place.value


def center_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The learned parameters of centers and grids, each once: give them a learning rate of their own."""
    codebooks = dict.fromkeys(quantizer.centers for quantizer, _ in quantizers(model))  # in the model's order
    return [p for codebook in codebooks for p in codebook.parameters() if p.requires_grad]
