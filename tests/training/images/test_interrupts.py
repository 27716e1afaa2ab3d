"""Ctrl-C, kill and kill -9 in a real training process: the same command goes on, to the same model."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import functools, importlib, pathlib, sys
from PIL import Image
import numpy as np
train = importlib.import_module("barycode.training.images.train")
from barycode.images.model import ModelConfig
from barycode.training.images import Recipe, Stage

train.SAVE_EVERY = 5
small = {"channels": 4, "depth": 1, "hidden": 8}
train.ModelConfig = functools.partial(ModelConfig, **small)
pixels = np.random.default_rng(0).integers(0, 256, (200, 208, 3), dtype=np.uint8)
recipe = Recipe("small", (Stage("decoder", 20, 2e-3, crop=32, batch=2),), holdout=0)
folder = pathlib.Path(sys.argv[1])
train.with_tables = lambda model, *_: model  # what is counted afterwards takes no part in this
model = train.train_model(recipe, [Image.fromarray(pixels)], folder)
(folder / "model").write_bytes(model.to_bytes())
"""


def start(folder: Path) -> subprocess.Popen:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(folder: Path) -> str:
    with start(folder) as run:
        _, told = run.communicate()
        assert run.returncode == 0, told
    return told


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    finish(folder)
    return (folder / "model").read_bytes()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_same_command_goes_on(tmp_path, whole, how):
    with start(tmp_path) as run:
        while not list(tmp_path.rglob("step-*.safetensors")):
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(how)
        _, told = run.communicate()
    assert run.returncode != 0
    if how != signal.SIGKILL:
        assert "saved at step" in told
        assert "the same command goes on" in told
    finish(tmp_path)
    assert (tmp_path / "model").read_bytes() == whole
    assert not list(tmp_path.rglob(".barycode-*"))
