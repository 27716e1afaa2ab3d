import struct
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import barycode.images
from barycode.container import unpack
from barycode.evaluation.metrics import ssimulacra2
from barycode.images import BitsPerPixel, Likeness, Psnr, Size
from barycode.images.steps import INDEX_RANGE
from barycode.progress import watched

pytestmark = pytest.mark.usefixtures("stored")


def pixels(path):
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def test_one_picture_there_and_back(run, photos):
    outcome = run("compress", photos / "a.png")
    assert outcome.code == 0
    assert "a.bary" in outcome.out
    assert "bpp" in outcome.out
    original = pixels(photos / "a.png")
    (photos / "a.png").unlink()
    assert run("decompress", photos / "a.bary").code == 0
    assert pixels(photos / "a.png") == original


def test_quality_and_model_reach_the_codec(run, photos, tmp_path):
    assert (
        run("compress", photos / "a.png", "-q", "2.5", "--model", "mine", "-o", tmp_path / "x.bary").code == 0
    )
    assert unpack((tmp_path / "x.bary").read_bytes()).one("QUAL") == b"2.5mine"


@pytest.mark.parametrize(
    ("flags", "target"),
    [
        (["--size", "2kB"], Size(2000)),
        (["--bpp", "0.5"], BitsPerPixel(0.5)),
        (["--psnr", "32"], Psnr(32)),
        (["--ssimulacra2", "60"], Likeness(60, ssimulacra2)),
        ([], 5.0),
    ],
)
def test_what_was_asked_for_reaches_the_codec(run, photos, flags, target, monkeypatch):
    asked = {}
    kept = barycode.images.compress

    def compress(image, **options):
        asked.update(options)
        return kept(image)

    monkeypatch.setattr(barycode.images, "compress", compress)
    assert run("compress", photos / "a.png", *flags, "--effort", "7").code == 0
    assert (asked["quality"], asked["effort"]) == (target, 7)


def test_two_targets_are_refused(run, photos):
    outcome = run("compress", photos / "a.png", "--psnr", "32", "-q", "3")
    assert outcome.code != 0
    assert "not several" in outcome.err


def test_a_folder_keeps_its_shape(run, photos, tmp_path):
    outcome = run("compress", photos, "-o", tmp_path / "small")
    assert outcome.code == 0
    assert (tmp_path / "small/a.bary").is_file()
    assert (tmp_path / "small/deep/b.bary").is_file()
    assert "2 of 2 files done" in outcome.out
    assert run("decompress", tmp_path / "small", "-o", tmp_path / "back").code == 0
    assert pixels(tmp_path / "back/deep/b.png") == pixels(photos / "deep/b.jpg")


def test_globs(run, photos, tmp_path):
    assert run("compress", f"{photos}/**/*.jpg", "-o", tmp_path / "out").code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.bary"]


def test_nothing_is_overwritten_without_force(run, photos):
    (photos / "a.bary").write_bytes(b"precious")
    outcome = run("compress", photos / "a.png")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "a.bary exists already" in outcome.err
    assert (photos / "a.bary").read_bytes() == b"precious"
    assert run("compress", photos / "a.png", "--force").code == 0
    assert unpack((photos / "a.bary").read_bytes()).kind == "imag"


def test_one_bad_file_does_not_lose_the_others(run, photos):
    (photos / "bad.png").write_bytes(b"not a picture")
    outcome = run("compress", photos)
    assert outcome.code == 1
    assert "bad.png is not a picture" in outcome.err
    assert "2 of 3 files done" in outcome.out
    assert (photos / "deep/b.bary").is_file()
    assert not (photos / "bad.bary").exists()


def test_two_files_never_become_one(run, photos):
    Image.new("RGB", (4, 4)).save(photos / "a.jpg")
    outcome = run("compress", photos)
    assert outcome.code == 1
    assert "would both become" in outcome.err
    assert "2 of 3 files done" in outcome.out
    assert (photos / "deep/b.bary").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compress", "nowhere.png"], "nowhere.png does not exist"),
        (["compress", "net.safetensors"], "is not a readable safetensors file"),
        (["compress", "x.bary"], "is compressed already"),
        (["compress", "empty"], "holds no pictures"),
        (["decompress", "net.safetensors"], ""),
        (["decompress", "x.bary"], ""),
        (["info", "x.bary"], ""),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.safetensors").write_bytes(b"\0" * 8)
    (tmp_path / "x.bary").write_bytes(b"junk")
    (tmp_path / "empty").mkdir()
    outcome = run(*arguments)
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.startswith("barycode: ")
    assert outcome.err.count("\n") == 1
    assert sentence in outcome.err


@pytest.mark.parametrize(
    "arguments", [["compress"], ["compress", "a.png", "-q", "9"], ["nonsense"], ["train", "fish"]]
)
def test_wrong_usage_is_exit_code_2(run, arguments):
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "Usage: " in outcome.err


def test_decompress_writes_the_type_of_the_name(run, photos, tmp_path):
    run("compress", photos / "a.png")
    assert run("decompress", photos / "a.bary", "-o", tmp_path / "a.webp").code == 0
    with Image.open(tmp_path / "a.webp") as image:
        assert image.format == "WEBP"
    outcome = run("decompress", photos / "a.bary", "-o", tmp_path / "a.doc")
    assert outcome.code == 1
    assert "writes no '.doc' files" in outcome.err


def test_profile_and_exif_survive(run, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png", exif=exif, icc_profile=b"a profile")
    run("compress", tmp_path / "p.png")
    assert run("decompress", tmp_path / "p.bary", "-o", tmp_path / "back.png").code == 0
    with Image.open(tmp_path / "back.png") as image:
        assert image.info["icc_profile"] == b"a profile"
        assert image.getexif()[0x010E] == "a description"


def test_an_unforeseen_error_is_a_line_and_the_others_are_done(run, photos, monkeypatch):
    import barycode.images

    inner = barycode.images.compress

    def compress(image, **options):
        if image.format == "JPEG":
            raise struct.error("unpack\nrequires \x1b[31m a buffer")
        return inner(image, **options)

    monkeypatch.setattr(barycode.images, "compress", compress)
    outcome = run("compress", photos)
    assert outcome.code == 1
    (line,) = outcome.err.strip().splitlines()[-1:]
    assert "b.jpg: error: unpack requires \\x1b[31m a buffer (--debug shows where)" in line
    assert "Traceback" not in outcome.err
    assert (photos / "a.bary").is_file()
    outcome = run("compress", photos / "deep/b.jpg", "--debug")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert (
        outcome.err.strip()
        .splitlines()[-1]
        .endswith(": error: unpack requires \\x1b[31m a buffer (--debug shows where)")
    )


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_a_large_file_shows_how_far_it_is(run, photos, monkeypatch, terminal, several):
    inner = barycode.images.compress

    def compress(image, **options):
        for _ in watched("coding tiles", range(3)):
            pass
        return inner(image, **options)

    monkeypatch.setattr(barycode.images, "compress", compress)
    monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
    outcome = run("compress", photos if several else photos / "a.png")
    assert outcome.code == 0
    assert ("coding tiles" in outcome.err) == terminal
    assert ("a.bary" in outcome.out) == (not several)
    assert "coding tiles" not in outcome.out


@pytest.mark.parametrize(("index", "told"), [(INDEX_RANGE[0], True), (INDEX_RANGE[0] + 1, False)])
def test_a_size_that_the_finest_steps_do_not_fill_is_told(run, photos, index, told, monkeypatch):
    header = SimpleNamespace(index=index)
    monkeypatch.setattr("barycode.images.codec.read_header", lambda _: header)
    outcome = run("compress", photos / "a.png", "--size", "1MB")
    assert ("far below the size asked for" in outcome.out) == told


@pytest.mark.parametrize("name", ["x.tflite", "x.GGML", "weights.h5", "array.npy"])
def test_checkpoints_of_other_programs_are_named(run, tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF")
    told = run("compress", tmp_path / name).err
    assert "which is not read: save its tensors as .safetensors" in told


def test_what_is_for_pictures_is_not_ignored_for_a_network(run, tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3, np.float32)}, tmp_path / "a.safetensors")
    for option in (
        ("-q", "3"),
        ("--psnr", "30"),
        ("--bpp", "1"),
        ("--ssimulacra2", "50"),
        ("--strip",),
        ("--flatten",),
        ("--effort", "3"),
        ("--model", "photo"),
    ):
        outcome = run("compress", tmp_path / "a.safetensors", *option)
        assert outcome.code == 1
        assert f"is a network: --{option[0].replace('-q', 'quality').strip('-')} goes with" in outcome.err
    assert not (tmp_path / "a.bary").exists()
    assert run("compress", tmp_path / "a.safetensors").code == 0
    for option in (("--model", "photo"), ("--strip",)):
        outcome = run("decompress", tmp_path / "a.bary", "-o", tmp_path / "b.pt", *option)
        assert outcome.code == 1
        assert f"is a network: {option[0]} goes with pictures" in outcome.err
    assert not (tmp_path / "b.pt").exists()


def test_what_is_for_networks_is_not_ignored_for_a_picture(run, photos):
    assert run("compress", photos / "a.png").code == 0
    for option in (("--base", photos / "a.png"), ("--workers", 2)):
        outcome = run("decompress", photos / "a.bary", "-o", photos / "new.png", *option)
        assert outcome.code == 1
        assert f"is a picture: {option[0]} goes with networks" in outcome.err
    assert not (photos / "new.png").exists()


def test_a_pattern_of_names_to_keep_that_names_nothing_is_refused(run, tmp_path):
    """What was meant to be exact would be rounded, and nobody told."""
    from safetensors.numpy import save_file

    save_file(
        {"blocks.0[a]": np.ones((9, 9), np.float32), "x.bias": np.ones(3, np.float32)},
        tmp_path / "a.safetensors",
    )
    for wrong in ("block.*", "BIAS", "", "x.bia"):
        outcome = run("compress", tmp_path / "a.safetensors", "--keep", "x.*", "--keep", wrong)
        assert outcome.code == 1
        assert f"--keep {wrong!r} is the name of no tensor" in outcome.err
    assert not (tmp_path / "a.bary").exists()
    assert run("compress", tmp_path / "a.safetensors", "--keep", "*bias", "--keep", "blocks.0[a]").code == 0


def test_the_index_of_a_sharded_checkpoint_names_its_file(run, tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3, np.float32)}, tmp_path / "model-1.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    assert run("compress", tmp_path / "model.safetensors.index.json").code == 0
    assert (tmp_path / "model.bary").is_file()
