"""What people install: the wheel, built from the sdist, in an empty environment outside of the repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import barycode

pytest.importorskip("hatchling")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def call(*arguments, where):
    """Run a program that sees nothing of this process's path; what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, arguments)), cwd=where, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    call(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, where=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel that the sdist alone makes."""
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, where=sdist)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def programs(request, tmp_path_factory):
    """The programs of an environment that one of them was installed into; the rest comes from this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    site = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    # A plain path: the .pth files in there, such as that of an editable install, are not followed.
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    bin_ = home / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "--quiet", "--no-deps"]
    package = request.getfixturevalue(request.param)
    call(
        *pip, "--no-index", "--no-compile", "--no-build-isolation", "--ignore-installed", package, where=home
    )
    return bin_


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src/barycode"
    wanted = {
        f"barycode/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {
        name for name in names if not name.startswith(f"barycode-{barycode.__version__}.dist-info/")
    } == wanted
    assert "barycode/py.typed" in names
    assert any(name.startswith("barycode/images/models/") for name in names)


def test_the_metadata_say_what_the_project_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(
            archive.read(f"barycode-{barycode.__version__}.dist-info/METADATA").decode()
        )
    assert metadata["Version"] == barycode.__version__
    assert metadata["Summary"] == PROJECT["description"]
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert metadata["License-Expression"] == "MIT"


def test_the_sdist_holds_what_builds_and_explains_it(sdist):
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "docs/index.md", "tests/guides.py"):
        assert (sdist / name).is_file(), name
    assert not (sdist / "build").exists()
    assert sum(path.stat().st_size for path in sdist.rglob("*") if path.is_file()) < 40e6


USED = """
import pathlib, sys, barycode
home = pathlib.Path(barycode.__file__).parent
assert home.is_relative_to(sys.prefix), home
assert (home / "py.typed").is_file()
assert "torch" not in sys.modules

import barycode.images as images
from PIL import Image
with Image.open("whole.png") as whole:
    photo = whole.crop((400, 100, 464, 148))
photo.save("photo.png")
assert len(images.shipped_models()) > 1
for model in images.shipped_models():
    assert images.decompress(images.compress(photo, model=model)).size == photo.size

import torch, barycode.quantizers as quantizers, barycode.weights as weights
network = torch.nn.Linear(64, 256)
network.load_state_dict(weights.decompress(weights.compress(network.state_dict())))
quantizers.SoftConvexQuantizer(codebook_size=8, dim=4)(torch.randn(5, 4))
"""


def test_it_works_outside_of_the_repository(programs, tmp_path):
    shutil.copy(ROOT / "examples/photos/kodim15.png", tmp_path / "whole.png")
    call(programs / "python", "-I", "-W", "error", "-c", USED, where=tmp_path)
    assert call(programs / "barycode", "--version", where=tmp_path) == f"barycode {barycode.__version__}\n"
    call(programs / "barycode", "compress", "photo.png", where=tmp_path)
    call(programs / "barycode", "decompress", "photo.bary", "-o", "back.png", where=tmp_path)
    assert (tmp_path / "back.png").stat().st_size > (tmp_path / "photo.bary").stat().st_size


def test_the_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {barycode.__version__}" in lines


def test_every_extra_is_explained():
    page = (ROOT / "docs/installing.md").read_text()
    explained = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(explained) == sorted(PROJECT["optional-dependencies"])
