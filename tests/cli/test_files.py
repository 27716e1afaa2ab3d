"""Which files are read and written: never the input itself, never a name that lies, pipes and links as cp."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from barycode.cli import pictures
from barycode.cli.sizes import read_size, shown_size
from barycode.errors import InvalidInputError

pytestmark = pytest.mark.usefixtures("stored")


@pytest.fixture
def photo(photos):
    return photos / "a.png"


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("way", ["itself", "link", "hard link", "through a folder"])
def test_no_command_writes_onto_its_input(run, photo, tmp_path, way, force):
    data = photo.read_bytes()
    target = tmp_path / "t.bary"
    if way == "itself":
        target = photo
    elif way == "link":
        target.symlink_to(photo)
    elif way == "hard link":
        target.hardlink_to(photo)
    else:
        target = photo.parent / "deep/../a.png"
    outcome = run("compress", photo, "-o", target, *force)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert photo.read_bytes() == data
    compressed = photo.with_suffix(".bary")
    assert run("compress", photo).code == 0
    before = compressed.read_bytes()
    assert run("decompress", compressed, "-o", compressed, *force).code == 1
    assert compressed.read_bytes() == before


@pytest.mark.parametrize("name", ["out.jpg", "out.safetensors", "out.BARI", "out.png"])
def test_compress_writes_no_other_names(run, photo, tmp_path, name):
    outcome = run("compress", photo, "-o", tmp_path / name)
    assert outcome.code == 1
    assert "writes .bary files" in outcome.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["one.bary", "one.jpg", "-"])
def test_several_files_do_not_go_into_one(run, photos, tmp_path, name):
    for inputs in ([photos], [photos / "a.png", photos / "deep/b.jpg"]):
        outcome = run("compress", *inputs, "-o", name if name == "-" else tmp_path / name)
        assert outcome.code == 1
        assert "name a folder" in outcome.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x.bary", "x.doc"])
def test_decompress_refuses_before_it_works(run, photo, tmp_path, name, monkeypatch):
    run("compress", photo, "-o", tmp_path / "c.bary")
    monkeypatch.setattr("barycode.images.decompress", lambda *_, **__: pytest.fail("worked"))
    outcome = run("decompress", tmp_path / "c.bary", "-o", tmp_path / name)
    assert outcome.code == 1
    assert not (tmp_path / name).exists()


def test_skipping_what_is_there(run, photos):
    assert run("compress", photos / "a.png").code == 0
    before = (photos / "a.bary").stat()
    outcome = run("compress", photos, "--skip-existing")
    assert outcome.code == 0, outcome.err
    assert "1 of 2 files done, 1 were there already" in outcome.out
    assert (photos / "a.bary").stat().st_mtime_ns == before.st_mtime_ns
    assert run("decompress", photos / "a.bary", "--skip-existing").code == 0


def test_private_pictures_stay_private(run, photo):
    photo.chmod(0o600)
    run("compress", photo)
    compressed = photo.with_suffix(".bary")
    assert compressed.stat().st_mode & 0o777 == 0o600
    photo.unlink()
    run("decompress", compressed)
    assert photo.stat().st_mode & 0o777 == 0o600


def test_the_line_says_what_became_of_it(run, photo, tmp_path):
    Image.effect_noise((200, 200), 40).convert("RGB").save(tmp_path / "n.bmp")
    line = run("compress", tmp_path / "n.bmp").out
    assert "n.bmp 120 kB -> " in line
    assert "n.bary 9" in line
    assert "bpp" in line
    assert "larger" not in line
    assert "larger than it was" in run("compress", photo).out


def test_names_are_data(run, tmp_path):
    name = "a[red]\x1b]0;x\x07\n.png"
    Image.new("RGB", (4, 4)).save(tmp_path / name)
    outcome = run("compress", tmp_path / name)
    assert outcome.code == 0
    assert "a[red]\\x1b]0;x\\x07\\n.png" in outcome.out
    assert "\x1b" not in outcome.out


def test_heic_is_told_of(run, photos):
    (photos / "c.heic").write_bytes(b"no picture")
    (photos / "notes.txt").write_bytes(b"")
    outcome = run("compress", photos)
    assert "c.heic is not a picture" in outcome.err
    assert "left alone what is no picture: 1 .txt" in outcome.err


def test_plugins_of_pillow_count(run, photos):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.new("RGB", (32, 32), "teal").save(photos / "c.heic")
    outcome = run("compress", photos)
    assert outcome.code == 0, outcome.err
    assert (photos / "c.bary").is_file()


def test_names_that_look_like_folders(run, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").mkdir()
    run("compress", photo, "-o", "-")
    assert list((tmp_path / "-").iterdir()) == []
    outcome = run("compress", photo, "-o", ".bary")
    assert outcome.code == 1
    assert not (tmp_path / ".bary").exists()


def test_frames_are_told(run, tmp_path):
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "p.mpo", "MPO", save_all=True, append_images=frames[1:])
    assert "left out: pictures behind it" in run("compress", tmp_path / "p.mpo").out


def test_a_pipe_as_input(run, photo, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for command, data, target in (
        ("compress", photo, "o.bary"),
        ("decompress", tmp_path / "o.bary", "o.png"),
    ):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[data.read_bytes()])
        writer.start()
        outcome = run(command, tmp_path / "pipe", "-o", tmp_path / target)
        writer.join()
        assert outcome.code == 0, outcome.err
    assert (tmp_path / "o.png").is_file()


def test_info_of_a_folder_is_a_sentence(run, tmp_path):
    assert "is a folder: name a .bary file" in run("info", tmp_path).err
    assert "does not exist" in run("info", tmp_path / "x.bary").err


def test_transparency_is_not_dropped_in_silence(run, photo, tmp_path, monkeypatch):
    from types import SimpleNamespace

    run("compress", photo, "-o", tmp_path / "c.bary")
    header = SimpleNamespace(mode="RGBA", width=16, height=12)
    monkeypatch.setattr("barycode.images.codec.read_header", lambda _: header)
    for suffix in (".jpg", ".ppm"):
        outcome = run("decompress", tmp_path / "c.bary", "-o", tmp_path / f"o{suffix}")
        assert outcome.code == 1
        assert "transparency" in outcome.err or "RGBA" in outcome.err


def test_what_a_format_loses_is_told(run, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png", exif=exif)
    run("compress", tmp_path / "p.png")
    assert "JPEG loses a little" in run("decompress", tmp_path / "p.bary", "-o", tmp_path / "o.jpg").out
    assert "BMP keeps no exif" in run("decompress", tmp_path / "p.bary", "-o", tmp_path / "o.bmp").out


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_format_keeps_every_pixel_or_says_that_it_does_not(mode):
    """Of all that Pillow and its plugins write; of a name that promises other pixels, too."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, len(mode)), np.uint8)
    image = Image.fromarray(noise[:, :, 0] if mode == "L" else noise, mode)
    written = set()
    for suffix, name in pictures.written().items():
        if suffix in {".bary", ".eps", ".ps"}:  # refused by the command; read by another program
            continue
        try:
            pictures.check_writable(suffix, mode, image.size)
            data, notes = pictures.picture_bytes(image, suffix)
        except InvalidInputError:
            continue
        written.add(name)
        with Image.open(io.BytesIO(data)) as back:
            same = np.array_equal(np.asarray(back.convert("RGBA")), np.asarray(image.convert("RGBA")))
        assert same or any("loses a little" in note for note in notes), suffix
        assert mode == "L" or suffix not in {".pgm", ".pbm"}
    assert {"PNG", "TIFF", "WEBP"} <= written


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16384), (".ico", 257), (".jpg", 65536)])
def test_a_picture_too_large_for_a_format_is_refused_before_work(suffix, side):
    pictures.check_writable(suffix, "RGB", (side - 1, 1))
    with pytest.raises(InvalidInputError, match=f"hold at most {side - 1} pixels a side"):
        pictures.check_writable(suffix, "RGB", (1, side))


def test_an_input_without_a_name_is_not_this_folder(run, photos, monkeypatch):
    """Of a variable of the shell that is not set."""
    monkeypatch.chdir(photos)
    for command in ("compress", "decompress"):
        outcome = run(command, "")
        assert outcome.code == 1
        assert "empty name" in outcome.err
    assert not list(photos.rglob("*.bary"))


def test_pictures_of_phones_in_folders(run, tmp_path):
    """JPEG by its first bytes, and Pillow opens no format of that name."""
    image = Image.new("RGB", (8, 8))
    image.save(tmp_path / "a.mpo", save_all=True, append_images=[image])
    outcome = run("compress", tmp_path)
    assert outcome.code == 0
    assert "left out: pictures behind it" in outcome.out


@pytest.mark.parametrize(("size", "text"), [
    (0, "0 B"), (932, "932 B"), (2_100_000, "2.1 MB"), (310_400, "310 kB"), (999_999, "1.0 MB"),
    (5 * 10**12, "5000 GB"),
])  # fmt: skip
def test_sizes_are_shown(size, text):
    assert shown_size(size) == text


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("500k", 500_000), ("2.5 GB", 2_500_000_000), ("1mb", 10**6)]
)
def test_sizes_are_read(text, size):
    assert read_size(text) == size


def test_a_limit_that_is_no_size(run, tmp_path):
    assert "not a number of bytes" in run("decompress", tmp_path, "--limit", "much").err


def test_standard_input_and_output(tmp_path):
    """In processes of their own, with the shipped model."""
    stream = io.BytesIO()
    Image.effect_noise((40, 24), 60).convert("RGB").save(stream, "PNG")
    command = [sys.executable, "-m", "barycode"]
    packed = subprocess.run(
        [*command, "compress", "-", "-o", "-"], input=stream.getvalue(), capture_output=True, check=True
    )
    assert packed.stdout.startswith(b"\xbaRY")
    assert b"bpp" in packed.stderr
    back = subprocess.run([*command, "decompress", "-"], input=packed.stdout, capture_output=True, check=True)
    with Image.open(io.BytesIO(back.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (40, 24))
    refused = subprocess.run(
        [*command, "compress", "-"], input=packed.stdout, capture_output=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stdout == b""
    assert b"compressed already" in refused.stderr


def test_a_format_that_would_shrink_the_picture_is_refused(run, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 20)).save(tmp_path / "p.png", exif=exif)
    run("compress", tmp_path / "p.png")
    outcome = run("decompress", tmp_path / "p.bary", "-o", tmp_path / "p.ico")
    assert outcome.code == 1
    assert "ICO files hold no pictures of 300 x 20" in outcome.err
    assert not (tmp_path / "p.ico").exists()
    outcome = run("decompress", tmp_path / "p.bary", "-o", tmp_path / "p.tif")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("name", ["-", "net.SAFETENSORS", "net.PT"])
def test_a_network_is_what_its_bytes_and_its_name_in_any_case_say(run, tmp_path, name, monkeypatch):
    import torch
    from safetensors.torch import save

    state = {"weight": torch.ones(8, 8)}
    stream = io.BytesIO()
    torch.save(state, stream)
    data = stream.getvalue() if name == "net.PT" else save(state)
    if name == "-":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    else:
        (tmp_path / name).write_bytes(data)
    source = name if name == "-" else tmp_path / name
    outcome = run("compress", source, "-o", tmp_path / "net.bary", "--lossless")
    assert outcome.code == 0, outcome.err
    assert run("decompress", tmp_path / "net.bary", "-o", tmp_path / "back.safetensors").code == 0


def test_info_of_a_damaged_file_names_it_and_says_nothing_else(run, tmp_path, monkeypatch):
    from barycode.container import Section, pack

    cut = pack("wght", [Section("HEAD", b"not deflated")])
    for data in (b"", b"text", cut):
        (tmp_path / "x.bary").write_bytes(data)
        outcome = run("info", tmp_path / "x.bary")
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith(f"barycode: {tmp_path / 'x.bary'}: Th")
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert run("info", "-").err.startswith("barycode: standard input: Th")


def test_standard_input_comes_alone_and_into_a_file(run, photo, tmp_path):
    assert "comes alone" in run("compress", photo, "-", "-o", tmp_path / "new").err
    assert "no name to have in the folder" in run("compress", "-", "-o", tmp_path).err
    assert "no name to have in the folder" in run("decompress", "-", "-o", tmp_path / "new").err
    assert not (tmp_path / "new").exists()


def test_a_folder_of_other_files(run, tmp_path):
    for name in ("a.safetensors", "b.safetensors", "c.pt"):
        (tmp_path / name).touch()
    line = f"barycode: {tmp_path} holds no pictures, only 2 .safetensors, 1 .pt: name files of other kinds"
    assert run("compress", tmp_path).err.startswith(line)
