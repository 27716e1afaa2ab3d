"""CIFAR-10 in its public layout, read without letting a pickle run code."""

import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

from barycode.errors import CorruptFileError, MissingDataError
from barycode.training.datasets.picture_set import Images, PictureSet, picture_array


def cifar10(folder: Path, split: Literal["train", "test"]) -> PictureSet:
    """CIFAR-10 from its python batches (data_batch_1..5, test_batch): 50,000 or 10,000 pictures of 32x32."""
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    batches = [_cifar_batch(folder / name) for name in names]
    planes = np.concatenate([data for data, _ in batches]).reshape(-1, 3, 32, 32)
    return picture_array(planes.transpose(0, 2, 3, 1), [label for _, labels in batches for label in labels])


class _ArraysOnly(pickle.Unpickler):
    """Reads the pickles CIFAR-10 comes in and refuses every other name, so that no file can run code."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype"})

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".", maxsplit=1)[0] == "numpy" and name in self.ALLOWED:
            return {"_reconstruct": _empty_array, "ndarray": np.ndarray, "dtype": np.dtype}[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> Any:
    """What numpy's pickles start from; their state is set on it afterwards."""
    return np.empty(shape, np.uint8)


def _cifar_batch(path: Path) -> tuple[Images, list[int]]:
    if not path.exists():
        raise MissingDataError(f"{path} does not exist; expected CIFAR-10's python version, unpacked.")
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        data, labels = batch[b"data"], batch[b"labels"]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a CIFAR-10 python batch ({error}).") from error
    return data, labels
