"""Second moments of the inputs of layers, and how much the outputs of a network feel each row of weights.

The moments are those of OBS, GPTQ and their kin (Hassibi and Stork 1993; Frantar et al. 2023). The weight of
a row comes from gradients: for v of random signs over all outputs y, E[(d<v, y>/dW)^2] is the diagonal of the
Gauss-Newton matrix of |y|^2 / 2, and its sum over a row, divided by the trace of the moments, is what the
row's output counts for. Both factors together: the K-FAC approximation (Martens and Grosse 2015).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from barycode.errors import InvalidInputError
from barycode.weights.calibration.statistics import Calibration, LayerStatistics
from barycode.weights.nested import tensors_of

BATCH = 16  # inputs that run together where one tensor is given


def calibrate(
    model: nn.Module,
    inputs: Tensor | Iterable[Any],
    *,
    outputs: Callable[[Any], Any] = lambda result: result,
    seed: int = 0,
) -> Calibration:
    """Statistics of every matrix of `model` from unlabelled inputs, a few hundred of them.

    `inputs`: one tensor (N, ...), or batches: a tensor, a tuple of arguments or a dict of keyword arguments
    each. `outputs` takes from the model's result what is to stay the same: tensors, nested as they are; for
    a classifier `lambda logits: logits.log_softmax(-1)` is a good one. Linear, Conv1d, Conv2d, Embedding and
    MultiheadAttention (both its projections) have the moments of their inputs; all other matrices, as of
    recurrent layers, have rows alone. The model runs in evaluation mode, and is left as it was. Raises
    InvalidInputError where there are no inputs, or no finite outputs that depend on weights.
    """
    batches = inputs.split(BATCH) if isinstance(inputs, Tensor) else inputs
    random = torch.Generator().manual_seed(seed)
    matrices = {name: p for name, p in model.named_parameters() if p.ndim > 1 and p.is_floating_point()}
    moments: dict[str, Tensor] = {}
    squares = {name: torch.zeros(p.shape[0]) for name, p in matrices.items()}
    count = 0
    with _watched(model, matrices, moments):
        for batch in batches:
            probe = _probe(outputs(_run(model, batch)), random)
            gradients = torch.autograd.grad(probe, list(matrices.values()), allow_unused=True)
            for name, gradient in zip(matrices, gradients, strict=True):
                if gradient is not None:
                    squares[name] += gradient.float().square().flatten(1).sum(1).cpu()
            count += 1
    if not count:
        raise InvalidInputError("There are no inputs to calibrate with: give some hundred.")
    return Calibration(
        {name: _statistics(squares[name], moments.get(name)) for name in matrices if squares[name].any()}
    )


def _statistics(squares: Tensor, moments: Tensor | None) -> LayerStatistics:
    """Squared gradients of rows (R,), over the traces of what their inputs were."""
    if moments is None:
        return LayerStatistics(squares)
    if moments.ndim == 1:  # of an embedding: how often each row was asked for
        return LayerStatistics(squares.mean() * moments.clamp(min=float(moments.mean())))
    traces = moments.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-30)
    return LayerStatistics(squares / traces.repeat_interleave(len(squares) // len(traces)), moments)


def _run(model: nn.Module, batch: Any) -> Any:
    with torch.enable_grad():
        if isinstance(batch, Mapping):
            return model(**batch)
        return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def _probe(result: Any, random: torch.Generator) -> Tensor:
    """<v, outputs> for random signs v."""
    with torch.enable_grad():
        parts = [
            (tensor.float() * _signs(tensor, random)).sum()
            for tensor in tensors_of(result)
            if tensor.is_floating_point() and tensor.requires_grad
        ]
        probe = torch.stack(parts).sum() if parts else torch.zeros(())
    if not parts or not bool(probe.isfinite()):
        raise InvalidInputError(
            "The model's outputs hold no finite floating-point tensor that depends on its weights: "
            "let `outputs` take it from what the model returns."
        )
    return probe


def _signs(tensor: Tensor, random: torch.Generator) -> Tensor:
    signs = torch.randint(0, 2, tensor.shape, generator=random, dtype=torch.float32)
    return (2 * signs - 1).to(tensor.device)


@contextmanager
def _watched(
    model: nn.Module, matrices: Mapping[str, nn.Parameter], moments: dict[str, Tensor]
) -> Iterator[None]:
    """The model in evaluation mode with gradients for all matrices and hooks that add up moments."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    for name, parameter in matrices.items():
        names[id(parameter)].append(name)
    modes = {module: module.training for module in model.modules()}
    frozen = [p for p in matrices.values() if not p.requires_grad]

    def add(parameter: Tensor, found: Tensor) -> None:
        for name in names[id(parameter)]:
            known = moments.get(name)
            if known is None or known.ndim < found.ndim:  # tied: a head tells more than a table
                moments[name] = found
            elif known.shape == found.shape:
                moments[name] = known + found

    hooks = [
        module.register_forward_pre_hook(
            lambda module, args, kwargs: _see(module, args, kwargs, add), with_kwargs=True
        )
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding | nn.MultiheadAttention)
    ]
    try:
        model.eval()
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def _see(
    module: nn.Module, args: tuple, kwargs: Mapping[str, Any], add: Callable[[Tensor, Tensor], None]
) -> None:
    """Add what a layer's inputs say about its weights."""
    if isinstance(module, nn.MultiheadAttention):
        told = [args[i] if i < len(args) else kwargs[key] for i, key in enumerate(("query", "key", "value"))]
        kinds = [_second_moments(x.flatten(0, -2))[None] for x in told]
        if module.in_proj_weight is not None:
            add(module.in_proj_weight, torch.cat(kinds))
        else:
            for weight, kind in zip(
                (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight), kinds, strict=True
            ):
                add(weight, kind)
        heads = _heads(module, args, kwargs)
        add(module.out_proj.weight, _second_moments(heads.flatten(0, -2))[None])
        return
    x = args[0] if args else next(iter(kwargs.values()))
    if isinstance(module, nn.Embedding):
        add(module.weight, torch.bincount(x.flatten(), minlength=module.num_embeddings).float().cpu())
    elif isinstance(module, nn.Linear):
        add(module.weight, _second_moments(x.reshape(-1, x.shape[-1]))[None])
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        add(module.weight, torch.stack([_second_moments(part) for part in _patches(module, x)]))


class _Unhooked(nn.Module):
    """A module's forward without its hooks."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module.forward(*args, **kwargs)


def _heads(module: nn.MultiheadAttention, args: tuple, kwargs: Mapping[str, Any]) -> Tensor:
    """What attention multiplies with `out_proj`: its output where that projection is the identity.

    A hook on `out_proj` would never run, since attention takes its weight and does not call it.
    """
    weight = module.out_proj.weight
    identity = {"module.out_proj.weight": torch.eye(len(weight), dtype=weight.dtype, device=weight.device)}
    if module.out_proj.bias is not None:
        identity["module.out_proj.bias"] = torch.zeros_like(module.out_proj.bias)
    return functional_call(_Unhooked(module), identity, args, dict(kwargs), tie_weights=False)[0]


def _second_moments(x: Tensor) -> Tensor:
    """Sum of x x^T over (N, J)."""
    x = x.float()
    return (x.T @ x).cpu()


def _patches(module: nn.Conv1d | nn.Conv2d, x: Tensor) -> list[Tensor]:
    """What each group of output channels multiplies with its weights: (N, J) a group."""
    flat = isinstance(module, nn.Conv1d)
    single = x.ndim == (2 if flat else 3)
    x = x[None] if single else x
    kernel, stride, dilation = (
        (1, *size) if flat else size for size in (module.kernel_size, module.stride, module.dilation)
    )
    sides = module._reversed_padding_repeated_twice
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    if any(sides):
        x = functional.pad(x, list(sides), mode=mode)
    x = x[:, :, None] if flat else x
    patches = functional.unfold(x.float(), kernel, dilation=dilation, stride=stride)
    return list(patches.transpose(1, 2).flatten(0, 1).chunk(module.groups, 1))
