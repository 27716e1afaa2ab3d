"""Where picture models are found: those that ship inside the package, and files of your own.

A compressed picture names its model by the hash of the model file. Files of your own are looked for in the
folders of the variable BARYCODE_MODELS (separated like PATH), or handed over directly.
"""

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from barycode.errors import BarycodeError, InvalidInputError, MissingDataError, UnsupportedFileError
from barycode.images.model import ImageModel
from barycode.plain_torch import plain_torch

SHIPPED = Path(__file__).parent / "models"
DEFAULT = "photo"


def shipped_models() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_model(model: str | Path | ImageModel) -> ImageModel:
    """A model by the name of a shipped one or by the path of a model file."""
    if isinstance(model, ImageModel):
        return model
    path = Path(model)
    if path.suffix != ".safetensors":
        if str(model) not in shipped_models():
            names = ", ".join(shipped_models())
            raise InvalidInputError(
                f"There is no picture model {model}: expected one of {names}, or a .safetensors file."
            )
        path = SHIPPED / f"{model}.safetensors"
    if not path.is_file():
        raise MissingDataError(
            f"The model file {path} does not exist: train one with `barycode train images FOLDER`."
        )
    return _load(path.resolve(), path.stat().st_mtime_ns)


def model_of(fingerprint: bytes) -> ImageModel:
    """The model with this identity, shipped or in BARYCODE_MODELS."""
    folders = [SHIPPED, *map(Path, filter(None, os.environ.get("BARYCODE_MODELS", "").split(os.pathsep)))]
    for path in (p for folder in folders for p in sorted(folder.glob("*.safetensors"))):
        with suppress(BarycodeError, OSError):  # a stranger among the models is none of ours
            model = _load(path.resolve(), path.stat().st_mtime_ns)
            if model.fingerprint == fingerprint:
                return model
    raise UnsupportedFileError(
        f"This picture needs the model {fingerprint.hex()}, which is not here: "
        "put its file in a folder of BARYCODE_MODELS, or pass it as `model`."
    )


@lru_cache(maxsize=8)
@plain_torch()
def _load(path: Path, _modified: int) -> ImageModel:
    return ImageModel.from_bytes(path.read_bytes(), path.name)
