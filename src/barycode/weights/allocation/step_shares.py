"""How the step is shared out among tensors, without data: by their norms.

What a network computes suffers, to first order, from the relative errors of its tensors, whatever their
sizes: |error|^2 / |tensor|^2 is the part of a layer's output that is noise. Their sum is least, at a given
rate, for steps that go with the norms: an embedding table of a hundred times the entries takes ten times the
step.
"""

from collections.abc import Container, Sequence
from math import exp, log

from barycode.weights.checkpoints.sources import Source
from barycode.weights.request.rules import Quantize, Rule, rule_for


def shares(source: Source, rules: Sequence[Rule], hardened: Container[str]) -> dict[str, float]:
    """Multiples of the step by name: norms, over their geometric mean among all entries.

    Only tensors whose rule asks for balance are there; each is loaded once.
    """
    logs: dict[str, tuple[float, int]] = {}
    for entry in source.directory.entries:
        treatment = rule_for(entry, rules).treatment
        if entry.tied_to is not None or entry.name in hardened or not entry.size:
            continue
        if isinstance(treatment, Quantize) and treatment.balanced:
            norm = float(source.load(entry.name).double().norm())
            if 0 < norm < float("inf"):
                logs[entry.name] = log(norm), entry.size
    mean = sum(value * size for value, size in logs.values()) / max(sum(size for _, size in logs.values()), 1)
    return {name: exp(value - mean) for name, (value, _) in logs.items()}
