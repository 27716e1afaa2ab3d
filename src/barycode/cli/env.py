"""`barycode env`: the block to paste into a bug report."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import typer

from barycode.processors import usable_processors

PACKAGES = (
    "torch",
    "numpy",
    "safetensors",
    "Pillow",
    "constriction",
    "zstandard",
    "typer",
    "rich",
    "numba",
    "lightning-fabric",
    "ray",
    "pyarrow",
    "pytorch-msssim",
    "pillow-heif",
)


def main() -> None:
    """Print versions and the machine, ready to paste into a bug report.

    For example:

    - `barycode env`
    """
    for name, value in facts():
        typer.echo(f"- {name}: {value}")


def facts() -> Iterator[tuple[str, str]]:
    """Name and value of what a bug report needs; no paths, no host name."""
    from barycode import __version__

    yield "Barycode", __version__
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "Platform", f"{platform.system()} {platform.release()} {platform.machine()}, {sys.byteorder} endian"
    yield "Processors", f"{usable_processors()} usable of {os.cpu_count()}"
    for package in PACKAGES:
        yield package, _version_of(package)
    yield from _torch_facts()


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _torch_facts() -> Iterator[tuple[str, str]]:
    import torch

    yield "torch threads", str(torch.get_num_threads())
    yield "CUDA", torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
