"""`barycode info --html`: what is in the page, and what a browser makes of it."""

import re

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from barycode import weights
from barycode.images import compress
from browsers import REQUESTS, chromium  # noqa: F401 (a fixture)

CELL = re.compile(r'data-value="([0-9.e-]+)"')
NAMES = ("large.weight", "<script>alert(1)</script>", "{{facts}}", "count")


@pytest.fixture
def network(tmp_path):
    """A lossy .bary file, and the checkpoint that it is of."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in ((80, 64), (32, 32), (40, 20))]
    state = dict(zip(NAMES, [*values, torch.arange(5)], strict=True))
    save_file(state, tmp_path / "net.safetensors")
    (tmp_path / "net.bary").write_bytes(weights.compress(state, weights.RelativeError(0.1)))
    return tmp_path / "net.bary", tmp_path / "net.safetensors"


def test_every_tensor_with_its_bits_and_errors(run, network, tmp_path):
    packed, original = network
    outcome = run("info", packed, "--html", tmp_path / "page.html", "--original", original)
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "page.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "<script>alert" not in text
    assert all(name in text for name in ("large.weight", "&lt;script&gt;alert", "{{facts}}", "count"))
    assert text.count("exact</td></tr>") == 1
    tensors = weights.decompress(packed.read_bytes())
    before = load_file(original)
    for name in (NAMES[0], NAMES[2]):
        error = (tensors[name] - before[name]).norm() / before[name].norm()
        row = text[text.index(f"<td>{name}</td>") :]
        assert float(CELL.findall(row[: row.index("</tr>")])[-2]) == pytest.approx(float(error), rel=1e-4)


def test_what_is_refused(run, network, tmp_path):
    packed, original = network
    (tmp_path / "there.html").touch()
    save_file({"other": torch.zeros(3)}, tmp_path / "other.safetensors")
    photo = tmp_path / "photo.bary"
    photo.write_bytes(compress(Image.new("RGB", (16, 16)), effort=0))
    page = tmp_path / "page.html"
    for call, told in (
        ((packed, "--original", original), "add --html"),
        ((packed, "--html", tmp_path / "there.html"), "exists already"),
        (
            (packed, "--html", page, "--original", tmp_path / "other.safetensors"),
            "has no tensor 'large.weight'",
        ),
        ((photo, "--html", page, "--original", original), "holds none"),
        ((photo, "--html", page, "--limit", "100"), "768 bytes"),
        ((packed, "--html", page, "--limit", "100"), "bytes"),
    ):
        outcome = run("info", *call)
        assert outcome.code == 1
        assert told in outcome.err
    assert not page.exists()


def test_the_page_in_a_browser(run, network, tmp_path, chromium):  # noqa: F811
    packed, original = network
    photo = tmp_path / "photo.bary"
    photo.write_bytes(compress(Image.effect_noise((64, 48), 50).convert("RGB"), effort=0))
    run("info", packed, "--html", tmp_path / "net.html", "--original", original)
    run("info", photo, "--html", tmp_path / "photo.html")
    chromium.get((tmp_path / "net.html").as_uri())
    assert chromium.title == "net.bary"
    tensors = chromium.find_elements("tag name", "table")[1]

    def column(place):
        return [
            row.find_elements("tag name", "td")[place].text
            for row in tensors.find_elements("css selector", "tbody tr")
        ]

    assert column(0) == list(NAMES)
    bits = next(b for b in tensors.find_elements("tag name", "button") if b.text == "bits")
    bits.click()
    found = [int(cell.replace(",", "")) for cell in column(4)]
    assert found == sorted(found, reverse=True)
    bits.click()
    assert [int(cell.replace(",", "")) for cell in column(4)] == found[::-1]
    tensors.find_elements("tag name", "button")[0].click()
    assert column(0) != list(NAMES)
    assert sorted(column(0)) == sorted(NAMES)
    chromium.set_window_size(390, 844)
    assert chromium.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    chromium.get((tmp_path / "photo.html").as_uri())
    assert chromium.execute_script(
        "const i = document.getElementById('picture'); return [i.naturalWidth, i.naturalHeight]"
    ) == [64, 48]
    assert chromium.get_log("browser") == []
    assert chromium.execute_script(REQUESTS) == []
