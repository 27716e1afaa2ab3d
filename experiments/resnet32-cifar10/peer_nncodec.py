"""Compress a network with nncodec, at several settings. Runs in nncodec's own environment (see peer.py).

    python peer_nncodec.py NETWORK.safetensors FOLDER

nncodec imports frameworks and data sets that compression does not use; what is not installed is replaced by
empty modules.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
from safetensors.numpy import load_file, save_file

OPTIONAL = ("pandas", "torchvision", "tensorflow", "wandb", "timm", "sklearn", "h5py", "ptflops", "skimage")
OPTIONAL += ("transformers", "flwr", "datasets")
SETTINGS = {
    "plain": [{"qp": qp, "use_dq": False} for qp in (-24, -20, -16)],
    "dq": [{"qp": qp} for qp in (-24, -22, -20, -18, -16)],
    "tools": [{"qp": qp, "opt_qp": True} for qp in (-28, -26, -24, -22)],
}


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty module where an optional one is not installed."""

    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in OPTIONAL or name.startswith("nncodec.framework"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec) -> ModuleType:
        module = MagicMock(name=spec.name)
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        return module

    def exec_module(self, module) -> None:
        """Nothing to run."""


def main() -> None:
    """Write NAME.nnc, and NAME.safetensors with what it decodes to."""
    sys.meta_path.insert(0, Absent())
    from nncodec.nnc import compression  # noqa: PLC0415 (after the finder of absent modules)

    network, folder = load_file(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for kind, settings in SETTINGS.items():
        for setting in settings:
            stream = folder / f"{kind}{setting['qp']}.nnc"
            compression.compress(dict(network), bitstream_path=str(stream), **setting)
            decoded = compression.decompress(str(stream))
            decoded = decoded if isinstance(decoded, dict) else decoded[0]
            tensors = {
                name: np.ascontiguousarray(np.asarray(decoded[name], np.float32).reshape(before.shape))
                for name, before in network.items()
            }
            save_file(tensors, stream.with_suffix(".safetensors"))
            print(stream.name, stream.stat().st_size)


if __name__ == "__main__":
    main()
