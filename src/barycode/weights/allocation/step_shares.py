"""How the step is shared out among tensors, without data: by their norms.

What a network computes suffers, to first order, from the relative errors of its tensors, whatever their
sizes: |error|^2 / |tensor|^2 is the part of a layer's output that is noise. Their sum is least, at a given
rate, for steps that go with the norms: an embedding table of a hundred times the entries takes ten times the
step.
"""

from collections.abc import Mapping, Sequence
from math import exp, log

from barycode.weights.allocation.measure import Measurement
from barycode.weights.file_format.directory import Entry
from barycode.weights.request.rules import Quantize, Rule

FARTHEST = 700.0  # whose exponential is a number


def shares(quantized: Sequence[tuple[Entry, Rule]], measured: Mapping[str, Measurement]) -> dict[str, float]:
    """Multiples of the step by name: norms, over their geometric mean among all entries.

    Only tensors whose rule asks for balance are there. A norm is the tensor's scale times the root of its
    size, so that a few entries do not decide it.
    """
    logs: dict[str, tuple[float, int]] = {}
    for entry, rule in quantized:
        known = measured[entry.name]
        if isinstance(rule.treatment, Quantize) and rule.treatment.balanced and known.scale:
            logs[entry.name] = log(known.scale) + 0.5 * log(entry.size), entry.size
    mean = sum(value * size for value, size in logs.values()) / max(sum(size for _, size in logs.values()), 1)
    return {name: exp(min(max(value - mean, -FARTHEST), FARTHEST)) for name, (value, _) in logs.items()}


def relative_shares(
    quantized: Sequence[tuple[Entry, Rule]], measured: Mapping[str, Measurement]
) -> dict[str, float]:
    """Multiples of the step by name that make the relative error of every tensor the same: scales."""
    return {entry.name: measured[entry.name].scale or 1.0 for entry, _ in quantized}
