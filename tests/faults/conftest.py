import sys
from pathlib import Path

import pytest
from PIL import Image

from scenes import scene

if sys.platform == "win32":
    pytest.skip("signals, limits and modes of POSIX", allow_module_level=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of five small pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(5):
        Image.fromarray(scene(48, 56, seed)).save(folder / f"{seed}.ppm")
    return folder


@pytest.fixture(scope="session")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three compressed pictures."""
    from barycode.images import compress
    from faults.programs import MODEL

    folder = tmp_path_factory.mktemp("compressed")
    for seed in range(3):
        (folder / f"{seed}.bary").write_bytes(compress(scene(48, 56, seed), effort=0, model=MODEL))
    return folder
