"""A recipe: everything that decides how a picture model is trained, as a file that can be committed."""

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from barycode.errors import InvalidInputError
from barycode.images.model import ModelConfig
from barycode.images.steps import StepPolicy
from barycode.images.vectors import VectorShape

Kind = Literal["contexts", "decoder", "joint"]
KINDS = ("contexts", "decoder", "joint")
Metric = Literal["mse", "ms-ssim"]
Annealing = Literal["none", "exponential", "gap"]
ANNEALINGS = ("none", "exponential", "gap")


@dataclass(frozen=True)
class Stage:
    """One stage: what is trained, for how many steps, at which highest learning rate, on which crops.

    `annealing` says how joint stages harden their soft choices; `replay`, for how many steps of a decoder
    stage a coded crop serves; `rounds`, how often the encoder refines its codes for it.
    """

    kind: Kind
    steps: int
    learning_rate: float
    crop: int = 128
    batch: int = 8
    annealing: Annealing = "gap"
    replay: int = 1
    rounds: int = 0

    def __post_init__(self) -> None:
        for value, known in ((self.kind, KINDS), (self.annealing, ANNEALINGS)):
            if value not in known:
                raise InvalidInputError(
                    f"A stage has the unknown setting {value!r}: expected one of {', '.join(known)}."
                )
        if (
            self.crop % 8
            or min(self.crop, self.steps, self.batch, self.replay) <= 0
            or self.learning_rate <= 0
            or self.rounds < 0
        ):
            raise InvalidInputError(
                f"The stage {self} is not sound: expected positive numbers and a crop that 8 divides."
            )


@dataclass(frozen=True)
class Recipe:
    """`start` is the model that training starts from, or empty for the untrained lapped transform;
    `vectors` are slices to code in vectors, fitted before the first stage.
    """

    name: str
    stages: tuple[Stage, ...]
    metric: Metric = "mse"
    start: str = ""
    seed: int = 0
    rate_weight: float = 0.11
    steps: tuple[float, float] = (4.0, 260.0)
    holdout: int = 50
    policy: StepPolicy = field(default_factory=StepPolicy)
    qualities: tuple[int, ...] = ModelConfig.qualities
    vectors: tuple[VectorShape, ...] = ()

    def to_json(self) -> str:
        """Every setting, as text."""
        return json.dumps(asdict(self), indent=2)


def read_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file; InvalidInputError for what is no TOML, and for a key that is not known."""
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"The recipe {path} cannot be read as TOML ({error}).") from error
    stages = tuple(_build(Stage, stage, path) for stage in raw.pop("stages", []))
    vectors = tuple(_build(VectorShape, shape, path) for shape in raw.pop("vectors", []))
    policy = _build(StepPolicy, raw.pop("policy", {}), path)
    return _build(Recipe, {**raw, "stages": stages, "policy": policy, "vectors": vectors}, path)


def _build(kind: type, values: dict[str, Any], path: Path) -> Any:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInputError(
            f"The recipe {path} has an unknown key {unknown[0]!r} for {kind.__name__}: "
            f"expected {', '.join(sorted(known))}."
        )
    try:
        return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    except TypeError as error:
        raise InvalidInputError(f"The recipe {path} is incomplete: {error}.") from error
