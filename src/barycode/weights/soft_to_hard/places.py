"""Where the weights of a module are: plain parameters, tied ones, those that other parametrizations make."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils import parametrize

from barycode.weights.soft_to_hard.centers import Centers
from barycode.weights.soft_to_hard.parametrization import SoftToHard


@dataclass(frozen=True)
class Place:
    """A weight: module.name, known to the whole model as `path`. Tied parameters have several places."""

    module: nn.Module
    name: str
    path: str
    value: Tensor


@dataclass(frozen=True)
class QuantizedPlace(Place):
    """A weight under a quantizer; `value` is what it quantizes."""

    quantizer: SoftToHard

    @property
    def prefix(self) -> str:
        """What its entries in the state dict begin with."""
        return f"{self.path.removesuffix(self.name)}parametrizations.{self.name}."


def free_places(model: nn.Module) -> Iterator[Place]:
    """Weights of floating point that are under no quantizer, in the model's order.

    Those that a parametrization such as weight_norm makes are there as they come out of it.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList | Centers | SoftToHard):
            continue
        made = {name: _made(chain) for name, chain in _chains(module) if not _quantizer(chain)}
        plain = module.named_parameters(recurse=False, remove_duplicate=False)
        for name, value in (*plain, *made.items()):
            if value.dtype.is_floating_point:
                yield Place(module, name, f"{prefix}.{name}".lstrip("."), value)


def quantized_places(model: nn.Module, *, every_name: bool = False) -> Iterator[QuantizedPlace]:
    """Weights under quantizers, tied ones at every place they have; of a module with several names the first.

    With `every_name`, all the names that the state dict has.
    """
    for prefix, module in model.named_modules(remove_duplicate=not every_name):
        for name, chain in _chains(module):
            quantizer = _quantizer(chain)
            if quantizer is not None:
                path = f"{prefix}.{name}".lstrip(".")
                yield QuantizedPlace(module, name, path, _made(chain, before_last=True), quantizer)


def make_plain(place: Place, value: Tensor) -> None:
    """End all parametrizations of a weight: it is a parameter of this value, tied where it was tied."""
    chain = dict(_chains(place.module))[place.name]
    _own_class(place.module)
    trained = any(original.requires_grad for original in _originals(chain))
    if chain.is_tensor:
        chain.original.copy_(value)
        parametrize.remove_parametrizations(place.module, place.name, leave_parametrized=False)
    else:
        parametrize.remove_parametrizations(place.module, place.name, leave_parametrized=True)
        delattr(place.module, place.name)
        place.module.register_parameter(place.name, nn.Parameter(value.clone(), trained))


def _own_class(module: nn.Module) -> None:
    """Let a module and its copies, which have one class with the parametrized properties, part."""
    shared = type(module)
    known = {key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, known)


def _chains(module: nn.Module) -> list[tuple[str, parametrize.ParametrizationList]]:
    """The parametrizations of a module by the names of its weights."""
    chains = getattr(module, "parametrizations", None)
    return list(chains.items()) if isinstance(chains, nn.ModuleDict) else []  # type: ignore[arg-type]


def _quantizer(chain: parametrize.ParametrizationList) -> SoftToHard | None:
    last = chain[len(chain) - 1]
    return last if isinstance(last, SoftToHard) else None


def _originals(chain: parametrize.ParametrizationList) -> list[Tensor]:
    if chain.is_tensor:
        return [chain.original]
    return [getattr(chain, f"original{i}") for i in range(chain.ntensors)]


def _made(chain: parametrize.ParametrizationList, before_last: bool = False) -> Tensor:
    """What a chain of parametrizations gives, or what its last one is given."""
    steps = list(chain)[: -1 if before_last else None]
    values = _originals(chain)
    for step in steps:
        values = [step(*values)]
    return values[0]
