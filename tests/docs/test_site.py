"""The site builds without a warning, and holds what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("furo")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a built site."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", ".", str(target)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def test_every_local_link_and_picture_is_there(site):
    missing = set()
    for page in site.rglob("*.html"):
        text = page.read_text()
        for target in re.findall(r'(?:href|src)="([^"#?]+)', text):
            if "://" not in target and not target.startswith(("mailto:", "data:")):
                where = page.parent / unquote(target)
                if not where.exists():
                    missing.add(f"{page.relative_to(site)}: {target}")
    assert not missing


def test_every_public_name_is_in_the_reference(site):
    import barycode.images
    import barycode.quantizers
    import barycode.simplex
    import barycode.weights

    for module in (barycode.images, barycode.quantizers, barycode.simplex, barycode.weights):
        name = module.__name__.rpartition(".")[2]
        page = (site / f"docs/reference/{name}.html").read_text()
        hidden = {"DEFAULT_RULES", "Target", "nearest"}
        for public in set(module.__all__) - hidden:
            assert f'id="barycode.{name}.{public}"' in page, public


def test_shapes_are_readable(site):
    page = re.sub(r"<[^>]+>", "", (site / "docs/reference/simplex.html").read_text())
    assert "v: Float[*batch, k]" in page
    assert "jaxtyping" not in page


def test_the_commands_explain_themselves(site):
    page = (site / "docs/reference/command-line.html").read_text()
    assert "Usage: barycode compress" in page
    assert "--quality" in page
    assert "--skip-existing" in page
