"""What is fuzzed: for each target a few sound inputs, a structured mutation, and the call that reads them.

A call gives the number of bytes that came out; anything but a BarycodeError is a finding. The calls use the
public functions alone, so that the harness outlives the formats.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

import mutations
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from barycode.container import ContainerReader, Section, pack, require_within, unpack
from barycode.errors import BarycodeError, InvalidInputError, LimitError
from barycode.images import layers, scale_offsets
from barycode.images.codec import compress as compress_picture
from barycode.images.codec import decompress as decompress_picture
from barycode.images.codec import read_header
from barycode.images.model import ImageModel
from barycode.images.picture import read_picture
from barycode.images.refinement import RefinedTile
from barycode.images.registry import find_model, shipped_models
from barycode.images.scale_offsets import ScaleOffsets
from barycode.images.tile import Setting, encode_tile
from barycode.images.walk import FAMILIES
from barycode.images.windows import Window
from barycode.quantizers import VectorQuantizer
from barycode.rate.multisets import pack_multisets, unpack_multisets
from barycode.training.autoencoders.codes import pack_codes, unpack_codes
from barycode.training.checkpoints import load_state, save_state
from barycode.weights import DEFAULT_RULES, Lossless, MaxError, NetworkFile, Quantize, Rule, Step, Vectors
from barycode.weights import compress as compress_network
from barycode.weights import decompress as decompress_network
from barycode.weights.checkpoints.files import open_source
from barycode.weights.file_format.blocks import PART_TENSORS
from barycode.weights.quantization import lossless_level

TESTS = Path(__file__).parents[1] / "tests"
TINY = TESTS / "images" / "golden" / "tiny.safetensors"
sys.path.append(str(TESTS))
from code_vectors import with_code_vectors  # noqa: E402 (what tests have for models of code vectors)

SCRATCH = Path(tempfile.mkdtemp(prefix="barycode-fuzz-"))
_SQUARE = np.full((8, 8, 3), 200, np.uint8)
LIMIT = 2**26  # that decoders are given, so that sound but large inputs end early


@dataclass(frozen=True)
class Target:
    """`seeds` are made once; `read` may cost seconds and bytes in proportion to what goes in and out."""

    seeds: Callable[[], list[bytes]]
    mutate: mutations.Mutation
    read: Callable[[bytes], int]


@cache
def _models() -> dict[str, ImageModel]:
    """The shipped models, a small one, and that one with code vectors."""
    tiny = ImageModel.from_bytes(TINY.read_bytes())
    shipped = {name: find_model(name) for name in shipped_models()}
    return shipped | {"tiny": tiny, "vectors": with_code_vectors(tiny)}


def _pictures() -> list[bytes]:
    """Every model, effort and mode; drawings, alone and over tiles; scale offsets; several tiles."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (9, 17, 4), np.uint8)
    smooth = np.linspace(0, 255, 24 * 8, dtype=np.uint8).reshape(8, 24)
    grey = np.stack([smooth, smooth[::-1]], 2)
    tiny = _models()["tiny"]
    arrays = (noise[:, :, :3], noise[:, :, 0], noise, smooth, grey, np.full((40, 3, 3), 200, np.uint8))
    files = [compress_picture(array, quality=2, model=tiny) for array in arrays]
    files += [compress_picture(noise[:, :, :3], model=model) for model in _models().values()]
    files += [compress_picture(noise[:, :, :3], effort=effort, model=tiny) for effort in (0, 9)]
    files += [compress_picture(_wide(rng), quality=1, effort=1, model=tiny), _with_offsets(noise, rng)]
    files += [compress_picture(np.kron(rng.integers(0, 2, (9, 12, 1), np.uint8), _SQUARE), model=tiny)]
    points = np.zeros((48, 64, 3), np.uint8)
    points[5::11, 3::13] = 255
    files += [compress_picture(points + np.resize(smooth, (48, 64))[:, :, None] // 8, model=tiny)]
    tagged = Image.fromarray(noise[:, :, :3])
    tagged.info |= {"icc_profile": b"profile", "dpi": (72, 72), "xmp": b"<x/>"}
    tagged.text = {"Title": "noise"}
    tagged.getexif()[274] = 6
    return [*files, compress_picture(tagged, quality=4, model=tiny)]


def _wide(rng: np.random.Generator) -> np.ndarray:
    """More than a tile takes, so that there are two."""
    return rng.integers(0, 256, (3, 1040, 3), np.uint8)


def _with_offsets(noise: np.ndarray, rng: np.random.Generator) -> bytes:
    """A small picture with scale offsets, which only large ones earn: here they are told."""
    halves = rng.integers(scale_offsets.LOWEST, -scale_offsets.LOWEST, FAMILIES)

    def told(model: ImageModel, window: Window, setting: Setting, trade: float, _: int) -> RefinedTile:
        return RefinedTile(encode_tile(model, window.coefficients, setting, trade, ScaleOffsets(halves)))

    with mock.patch.object(layers, "refine_tile", told):
        return compress_picture(noise[:, :, :3], quality=5, model=_models()["tiny"])


def _read_picture_file(data: bytes) -> int:
    """By the model that the file asks for, or the small one."""
    try:
        asked = read_header(unpack(data)).fingerprint
    except BarycodeError:
        asked = b""
    known = {model.fingerprint: model for model in _models().values()}
    model = known.get(asked, _models()["tiny"])
    return len(decompress_picture(data, model=model, limit=LIMIT).tobytes())


def _state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 4, 3, generator=generator) / 8
    return {
        "conv.weight": weights,
        "half": weights[0].bfloat16(),
        "count": torch.tensor(7),
        "tied": weights,
        "mask": weights[1] > 0,
        "empty": torch.zeros(3, 0),
        "complex": torch.view_as_complex(torch.randn(3, 2, generator=generator)),
    }


def _networks() -> list[bytes]:
    vectors = (Rule("conv*", Vectors(4, 2), "vectors"), *DEFAULT_RULES)
    steps = (Rule("*", Quantize(), "all"),)
    return [
        compress_network(_state(), Lossless(), metadata={"made": "here"}),
        compress_network(_state(), Step(0.02), rules=steps),
        compress_network(_state(), MaxError(0.02), rules=steps),
        compress_network(_state(), Step(0.02), rules=vectors),
        compress_network(_state() | {"aside": _with_outliers()}),
        compress_network(_by_planes(), Lossless("quick")),
        compress_network(_constants_and_columns()),
        _by_fields(),
        compress_network({}, Lossless()),
    ]


def _by_planes() -> dict[str, torch.Tensor]:
    """Floats and integers that the quick level writes by planes (method 9)."""
    generator = torch.Generator().manual_seed(0)
    floats = torch.randn(4, 64, generator=generator)
    return {
        "fields": floats,
        "half": floats.bfloat16(),
        "repeats": floats[:, :16].repeat(1, 4),
        "integers": torch.randint(90_000, (64,), generator=generator),
    }


def _constants_and_columns() -> dict[str, torch.Tensor]:
    """Tables, values that repeat, and columns of unlike size (methods 3, 4, 6 and 7)."""
    generator = torch.Generator().manual_seed(0)
    return {
        "columns": torch.randn(64, 64, generator=generator) * torch.logspace(-3, 0, 64),
        "table": torch.arange(400.0) / 3,
        "constants": torch.tensor([1.0, 2.0, 3.0] * 50),
        "repeats": torch.tensor([0.1, 0.2, 0.7])[torch.randint(3, (600,), generator=generator)],
    }


def _by_fields() -> bytes:
    """Floats and integers in lanes (methods 8 and 10), which larger tensors have: the limit is lowered here,
    since seeds are small.
    """
    generator = torch.Generator().manual_seed(0)
    floats = torch.randn(8, 64, generator=generator) / 8
    integers = (2000 * torch.randn(500, generator=generator) ** 3).long()
    with mock.patch.object(lossless_level, "LARGE", 64):
        return compress_network({"f": floats, "half": floats.bfloat16(), "integers": integers}, Lossless())


def _with_outliers() -> torch.Tensor:
    """Entries that are stored aside: infinite, not a number, far from the others."""
    matrix = torch.randn(16, 16, generator=torch.Generator().manual_seed(0)) / 8
    matrix[0, 0], matrix[3, 5], matrix[7, 7] = torch.inf, torch.nan, 1e30
    return matrix


def _indexed_networks() -> list[bytes]:
    """More tensors than a part takes, so that there are two parts and their index."""
    many = {f"t{number}": torch.empty(0) for number in range(PART_TENSORS)} | {"last": torch.ones(3)}
    return [compress_network(many, Lossless()), compress_network(_state(), Lossless())]


def _read_by_index(data: bytes) -> int:
    """What the reader of whole files accepts, that of single tensors gives as well."""
    try:
        whole = decompress_network(data, limit=LIMIT)
    except BarycodeError:
        whole = None
    try:
        with NetworkFile(io.BytesIO(data), limit=LIMIT) as file:
            tensors = {name: file.get_tensor(name) for name in file}
    except BarycodeError as error:
        if whole is not None:
            raise AssertionError("only the reader of single tensors refuses it") from error
        raise
    if whole is not None:
        assert list(whole) == list(tensors)
        assert all(torch.equal(_bits(whole[name]), _bits(tensors[name])) for name in whole)
    return _bytes_of(tensors)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _bytes_of(tensors: dict[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _quantizer() -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(codebook_size=8, dim=2)


def _codes() -> list[bytes]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 3), (40,), (1,))
    return [pack_codes(_quantizer(), torch.randint(8, shape, generator=generator)) for shape in shapes]


def _multisets() -> list[bytes]:
    rng = np.random.default_rng(0)
    records = [
        pack_multisets(np.sort(rng.integers(0, size, (count, levels)), 1), size, levels)
        for count, size, levels in ((30, 12, 3), (9, 5, 1), (4, 40, 4), (5, 1, 1), (0, 9, 2))
    ]
    return [pack("vect", [Section("MSET", record)]) for record in records]


def _read_multisets(data: bytes) -> int:
    found = [
        unpack_multisets(s.payload, limit=LIMIT)[1]
        for s in ContainerReader(io.BytesIO(data))
        if s.tag == "MSET"
    ]
    return sum(indices.nbytes for indices in found)


def _read_sections(data: bytes) -> int:
    return sum(len(section.payload) for section in ContainerReader(io.BytesIO(data)))


def _checkpoints() -> list[bytes]:
    path = SCRATCH / "state.safetensors"
    state = {"model": _state() | {"complex": torch.zeros(2)}, "optimizer": {0: [1, 2.5, None], 1: "text"}}
    save_state(path, state)
    return [path.read_bytes()]


def _read_checkpoint(data: bytes) -> int:
    path = SCRATCH / "checkpoint.safetensors"
    path.write_bytes(data)
    load_state(path)
    return len(data)


def _read_source(suffix: str) -> Callable[[bytes], int]:
    def read(data: bytes) -> int:
        path = SCRATCH / f"source{suffix}"
        path.write_bytes(data)
        source = open_source(path)
        return sum(
            _bytes_of({entry.name: source.load(entry.name)})
            for entry in source.directory.entries
            if entry.tied_to is None
        )

    return read


def _safetensors() -> list[bytes]:
    state = {name: tensor for name, tensor in _state().items() if name not in ("tied", "complex")}
    return [save(state, {"made": "here"}), save({})]


def _torch_files() -> list[bytes]:
    buffer = io.BytesIO()
    torch.save({"state_dict": {"a": torch.arange(6).float()}}, buffer)
    return [buffer.getvalue()]


def _images() -> list[bytes]:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (9, 17, 3), np.uint8))
    exif = Image.Exif()
    exif[274] = 6
    made = []
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        buffer = io.BytesIO()
        image.save(buffer, form, **({} if form in ("GIF", "BMP") else {"exif": exif}))
        made.append(buffer.getvalue())
    return made


def _read_image(data: bytes) -> int:
    """What Pillow opens must be read or refused; what its parsers raise on damaged input is not ours."""
    try:
        image = Image.open(io.BytesIO(data))
        require_within(LIMIT, image.width * image.height, "The picture")
        image.load()
    except LimitError:
        raise
    except Exception as error:
        raise InvalidInputError("Pillow cannot read it") from error
    return read_picture(image).colour.nbytes


TARGETS = {
    "container": Target(lambda: _pictures()[:2] + _networks()[:1], mutations.container, _read_sections),
    "multisets": Target(_multisets, mutations.container, _read_multisets),
    "codes": Target(_codes, mutations.container, lambda data: unpack_codes(_quantizer(), data, LIMIT).nbytes),
    "network": Target(_networks, mutations.container, lambda data: _bytes_of(decompress_network(data))),
    "network-by-index": Target(_indexed_networks, mutations.container, _read_by_index),
    "picture": Target(_pictures, mutations.container, _read_picture_file),
    "model": Target(
        lambda: [TINY.read_bytes()],
        mutations.safetensors,
        lambda data: len(ImageModel.from_bytes(data).to_bytes()),
    ),
    "checkpoint": Target(_checkpoints, mutations.safetensors, _read_checkpoint),
    "safetensors-input": Target(_safetensors, mutations.safetensors, _read_source(".safetensors")),
    "torch-input": Target(_torch_files, mutations.damage, _read_source(".pt")),
    "picture-input": Target(_images, mutations.damage, _read_image),
}
