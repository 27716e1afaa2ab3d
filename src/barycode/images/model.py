"""A picture model: everything that encoder and decoder must share, in one file.

The file is a safetensors file: decoder weights in float16, context networks and frequency tables as
integers, and a JSON configuration in its metadata. Its identity is a hash of its content, which every
compressed picture carries.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import safetensors
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from barycode.container import write_atomic
from barycode.container.schema import Between, from_json, parse_json, to_json
from barycode.errors import CorruptFileError, InvalidInputError, UnsupportedFileError
from barycode.images.contexts import AcContext, Contexts
from barycode.images.prediction import LIMIT, ROWS
from barycode.images.rate_distortion import Chooser
from barycode.images.slices import SLICES
from barycode.images.steps import INDEX_RANGE, StepPolicy
from barycode.images.synthesis import Decoder
from barycode.images.transform import Analysis
from barycode.images.vectors import UNIT, VectorShape, VectorSlice
from barycode.images.walk import AC_FAMILIES, FAMILIES
from barycode.precision import prefers_bfloat16
from barycode.rate import FrequencyTables
from barycode.rate.integer_network import SHIFT, IntegerConvolution, IntegerLayer
from barycode.shapes_only import shapes_only

FORMAT = 2
METADATA = "barycode_image_model"
FINGERPRINT_BYTES = 4
STORED = {torch.float16, torch.int8, torch.int32, torch.uint8}
Index = Annotated[int, Between(*INDEX_RANGE)]


@dataclass(frozen=True)
class ModelConfig:
    """What a model is made of, and how its encoder behaves by default; `vectors` names the slices of code
    vectors.
    """

    name: Annotated[str, Between(1, 80)]
    # lambda: squared error in steps that one bit is worth
    rate_weight: Annotated[float, Between(0, 100)] = field(default=0.11, metadata={"key": "trade"})
    policy: StepPolicy = field(default_factory=StepPolicy)
    # Step indices of the eight qualities: 0.1 to 3 bits per pixel on average.
    qualities: Annotated[tuple[Index, ...], Between(8, 8)] = (50, 32, 12, -8, -34, -58, -82, -106)
    channels: Annotated[int, Between(1, 1024)] = 32
    depth: Annotated[int, Between(0, 64)] = 2
    hidden: Annotated[int, Between(1, 1024)] = 128
    vectors: Annotated[tuple[VectorShape, ...], Between(0, len(SLICES))] = field(
        default=(), metadata={"optional": True}
    )

    def __post_init__(self) -> None:
        indices = [shape.index for shape in self.vectors]
        if len(set(indices)) != len(indices):
            raise InvalidInputError(
                f"The slices of code vectors {indices} repeat: expected each at most once."
            )


class ImageModel(nn.Module):
    """Analysis, contexts, tables and decoder of one picture model."""

    def __init__(self, config: ModelConfig, tables: FrequencyTables | None = None) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis()
        patches = {shape.index: shape.patch for shape in config.vectors}
        self.contexts = Contexts(config.hidden, patches)
        whole = [band for shape in config.vectors for band in SLICES[shape.index].bands]
        self.decoder = Decoder(config.channels, config.depth, whole)
        self.vectors = nn.ModuleDict({str(shape.index): VectorSlice(shape) for shape in config.vectors})
        self.tables = tables if tables is not None else _flat_tables()
        self.fingerprint = b""

    def code_lengths(self) -> Tensor:
        """(FAMILIES * ROWS, 2 LIMIT + 1) bits."""
        return torch.from_numpy(self.tables.code_lengths())

    def vectors_of(self, family: int) -> VectorSlice:
        """The code vectors of a family of AC tables."""
        return cast(VectorSlice, self.vectors[str(family - AC_FAMILIES)])

    def chooser(self, rate_weight: float, lengths: Tensor | None = None) -> Chooser:
        """The encoder's choice by this model; `lengths` (rows, symbols) in bits, those of its tables unless
        given.
        """
        vectors = {shape.index + AC_FAMILIES for shape in self.config.vectors}
        return Chooser(
            self.code_lengths() if lengths is None else lengths,
            self.decoder.reconstruct,
            rate_weight,
            {family: self.vectors_of(family) for family in vectors},
        )

    def steps_of(self, step: Tensor, places: Tensor) -> Tensor:
        """The steps of all codes, as far as they differ, from the pictures' (B,) and the multipliers of their
        blocks (B, 1, h, w).
        """
        return step[:, None, None, None] * self.config.policy.combine(places)

    def decode(self, codes: Tensor, steps: Tensor, step: Tensor) -> Tensor:
        """What the decoder makes of codes (B, 192, h, w) with their `steps`, at pictures' steps (B,):
        (B, 3, 8 h, 8 w), in the precision that the processor prefers.
        """
        given = codes.contiguous(memory_format=torch.channels_last)
        decoded: Tensor = self.decoder(given, steps, step, half=prefers_bfloat16(codes.device))
        return decoded

    def check_exact(self) -> None:
        """Raise InvalidInputError unless all of the context networks' arithmetic is exact."""
        self.contexts.check_exact()

    def save(self, path: Path) -> None:
        """Write the model file."""
        self.check_exact()
        write_atomic(path, self.to_bytes(), force=True)

    def to_bytes(self) -> bytes:
        """The model file; a model that is read from it has the hash of these bytes as its identity."""
        config = to_json(self.config)
        if not self.config.vectors:
            del config["vectors"]  # a model of scalars is the file that it was before there were vectors
        tensors = {name: t.contiguous() for name, t in _freeze(self).items()}
        for name, tables in self._all_tables().items():
            tensors[name] = torch.frombuffer(bytearray(tables.to_bytes()), dtype=torch.uint8)
        # One entry: safetensors writes several in no fixed order, and the bytes are the model's identity.
        return save_safetensors(tensors, {METADATA: json.dumps({"format": FORMAT, **config}, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "model") -> "ImageModel":
        """Read a model file; raises CorruptFileError or UnsupportedFileError with the file's `name`."""
        tensors = _read_tensors(data, name)
        config = _read_config(data, name)
        with shapes_only():  # whether the file is as large as its configuration, before it is built
            known = cls(config)._stored_shapes()
        if {tensor.dtype for tensor in tensors.values()} - STORED:
            raise CorruptFileError(f"The model file {name} has tensors of another type than it may.")
        if known != {key: tensor.shape for key, tensor in tensors.items() if key in known}:
            raise CorruptFileError(
                f"The model file {name} does not hold the tensors of its own configuration."
            )
        try:
            model = cls(config)
            model._read_tables(tensors)
            _thaw(model, tensors)
            model.check_exact()
        except (KeyError, RuntimeError) as error:
            raise CorruptFileError(
                f"The model file {name} does not hold the tensors of its own configuration."
            ) from error
        except InvalidInputError as error:
            raise CorruptFileError(f"The model file {name} cannot decode exactly: {error}") from error
        model.fingerprint = hashlib.sha256(data).digest()[:FINGERPRINT_BYTES]
        return model.eval().requires_grad_(False)

    def _stored_shapes(self) -> dict[str, torch.Size]:
        return {name: value.shape for name, value in self.state_dict().items()}

    def _all_tables(self) -> dict[str, FrequencyTables]:
        slices = cast(Iterable[tuple[str, VectorSlice]], self.vectors.items())
        return {"tables": self.tables} | {f"vectors.{i}.tables": s.tables for i, s in slices}

    def _read_tables(self, tensors: dict[str, Tensor]) -> None:
        """Take all tables out of `tensors`; KeyError unless they have the sizes of the configuration."""
        for name, flat in self._all_tables().items():
            tables = FrequencyTables.from_bytes(tensors.pop(name).numpy().tobytes())
            if tables.counts.shape != flat.counts.shape:
                raise KeyError(name)
            if name == "tables":
                self.tables = tables
            else:
                cast(VectorSlice, self.vectors[name.split(".")[1]]).tables = tables


def _flat_tables() -> FrequencyTables:
    return FrequencyTables.from_counts(np.ones((FAMILIES * ROWS, 2 * LIMIT + 1), dtype=np.int64))


def _read_tensors(data: bytes, name: str) -> dict[str, Tensor]:
    try:
        tensors = load_safetensors(data)
    except (ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise CorruptFileError(
            f"The model file {name} is not a safetensors file: train or download it again."
        ) from error
    return tensors


def _read_config(data: bytes, name: str) -> ModelConfig:
    length = int.from_bytes(data[:8], "little")
    what = f"The configuration of the model file {name}"
    metadata = parse_json(data[8 : 8 + length], what).get("__metadata__") or {}
    raw = parse_json(metadata.get(METADATA, "{}"), what)
    if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
        raise UnsupportedFileError(
            f"The model file {name} is not a picture model of format {FORMAT}: "
            "expected one written by `barycode train images`, of a version that this one knows."
        )
    return from_json(ModelConfig, raw, what)


def _integer_parameters(model: nn.Module) -> dict[str, int]:
    """Names of the parameters that count as integers, with the power of two that they are stored in."""
    scales: dict[str, int] = {}
    for prefix, module in model.named_modules():
        if isinstance(module, IntegerLayer):
            scales |= {f"{prefix}.weight": SHIFT, f"{prefix}.bias": 2 * SHIFT - 2}
        elif isinstance(module, IntegerConvolution):
            scales[f"{prefix}.weight"] = SHIFT
        elif isinstance(module, AcContext):
            scales |= {f"{prefix}.start": 2 * SHIFT - 2, f"{prefix}.octave": SHIFT}
        elif isinstance(module, VectorSlice):
            scales[f"{prefix}.centers"] = UNIT.bit_length() - 1
    return scales


def _freeze(model: ImageModel) -> dict[str, Tensor]:
    scales = _integer_parameters(model)
    frozen = {}
    for name, value in model.state_dict().items():
        if name in scales:
            integers = (value * 2 ** scales[name]).round()
            small = scales[name] == SHIFT and name.endswith("weight")
            frozen[name] = integers.clamp(-127, 127).to(torch.int8) if small else integers.to(torch.int32)
        else:
            frozen[name] = value.to(torch.float16)
    return frozen


def _thaw(model: ImageModel, tensors: dict[str, Tensor]) -> None:
    scales = _integer_parameters(model)
    state = {
        name: t.float() / 2 ** scales[name] if name in scales else t.float() for name, t in tensors.items()
    }
    for name, value in state.items():
        if not bool(value.isfinite().all()):
            raise InvalidInputError(f"the tensor {name[:80]!r} has entries that are not finite.")
    model.load_state_dict(state)
