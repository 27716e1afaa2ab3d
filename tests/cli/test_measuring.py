"""`evaluate`, `bench`, `info` and `train`: what they print, write and hand on."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import barycode.training.images
from barycode.cli import bench
from barycode.container import Section, pack
from barycode.evaluation import barycode_codec
from barycode.evaluation.anchors import JPEG
from barycode.images import ImageModel, ModelConfig
from barycode.images.registry import find_model
from scenes import scene


@pytest.fixture
def jpeg_inside(monkeypatch):
    """Our codec becomes a JPEG of the quality 16 times ours, so that it has a curve."""

    def compress(image, *, quality, effort, model):
        return JPEG.encode(image, 16 * quality)

    def decompress(data, *, model):
        return JPEG.decode(data)

    monkeypatch.setattr(barycode_codec, "compress", compress)
    monkeypatch.setattr(barycode_codec, "decompress", decompress)
    monkeypatch.setattr(barycode_codec, "shipped_models", lambda: ["photo"])


@pytest.fixture
def pictures(tmp_path):
    y, x = np.mgrid[:176, :192]
    for i in range(2):
        waves = [127 + 60 * np.sin(x / (9 + i)) + 40 * np.cos(y / (5 + c)) for c in range(3)]
        noise = np.random.default_rng(i).normal(0, 9, (176, 192, 3))
        pixels = (np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


@pytest.mark.usefixtures("jpeg_inside")
def test_evaluate_prints_and_writes_a_report(run, pictures, tmp_path):
    outcome = run(
        "evaluate", pictures, "--against", "jpeg,webp", "--qualities", "1,2,4,5", "-o", tmp_path / "report"
    )
    assert outcome.code == 0, outcome.err
    assert "BD-rate in PSNR against JPEG" in outcome.out
    assert "BD-rate in MS-SSIM against WebP" in outcome.out
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert report["pictures"] == 2
    assert report["bd_rate"]["Barycode"]["PSNR"]["JPEG"]["mean"] == pytest.approx(0, abs=3), (
        "JPEG against itself"
    )
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names >= {
        "report.json",
        "report.md",
        "rows",
        "index.html",
        "psnr.png",
        "ms-ssim.png",
        "ssimulacra2.png",
        "bd-rate-barycode.png",
    }


@pytest.mark.usefixtures("jpeg_inside")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--against", "gif"], "there is no anchor 'gif'"),
        (["--qualities", "high"], "--qualities takes numbers"),
    ],
)
def test_evaluate_refuses_what_it_does_not_know(run, pictures, options, sentence):
    outcome = run("evaluate", pictures, *options)
    assert outcome.code == 1
    assert sentence in outcome.err


@pytest.mark.usefixtures("jpeg_inside")
def test_bench_times_encoding_and_decoding(run, pictures):
    outcome = run("bench", "pictures", "--picture", pictures / "0.png", "--rounds", "2")
    assert outcome.code == 0, outcome.err
    for step in ("Barycode encode", "Barycode decode", "JPEG encode", "WebP decode"):
        assert step in outcome.out


def test_the_synthetic_picture_is_always_the_same():
    picture = bench.synthetic((32, 16))
    assert picture.size == (32, 16)
    assert picture.tobytes() == bench.synthetic((32, 16)).tobytes()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("quantizers", ("plain blocks", "VectorQuantizer", "SoftConvexQuantizer, exact", "forward")),
        ("nearest", ("matrix product alone", "65, 16, 128", "65, 64, 8192", "65, 256, 1024")),
    ],
)
def test_bench_measures_the_tables_of_the_quantizers(run, table, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    outcome = run("bench", table, "--vectors", "65", "--rounds", "2")
    assert outcome.code == 0, outcome.err
    assert "thread(s)" in outcome.out
    for text in expected:
        assert text in outcome.out


def test_bench_measures_networks(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    save_file(
        {"layer.weight": torch.randn(64, 64), "steps": torch.tensor([3])}, tmp_path / "model.safetensors"
    )
    outcome = run("bench", "networks", "--checkpoint", tmp_path / "model.safetensors", "--rounds", "2")
    assert outcome.code == 0, outcome.err
    for text in ("errors of 2 % (default)", "lossless, dense", "lossless, quick", "zstd -3", "bits a weight"):
        assert text in outcome.out


@pytest.mark.skipif(sys.platform == "win32", reason="processes are started in POSIX's way")
def test_bench_measures_what_commands_cost_before_they_begin(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    outcome = run("bench", "start-up", "--rounds", "2")
    assert outcome.code == 0, outcome.err
    for text in ("import torch", "barycode --help", "barycode decompress, 64 x 48 pixels"):
        assert text in outcome.out


def test_info_accounts_for_every_bit(run, tmp_path):
    data = pack("vect", [Section("ABCD", bytes(100)), Section("ICCP", bytes(25))])
    (tmp_path / "x.bary").write_bytes(data)
    outcome = run("info", tmp_path / "x.bary")
    assert outcome.code == 0, outcome.err
    assert f"{len(data)} bytes = {8 * len(data):,} bits" in outcome.out
    bits = [cells[3].strip() for line in outcome.out.splitlines() if len(cells := line.split("│")) > 3]
    assert bits == ["800", "200", f"{8 * (len(data) - 125):,}"]
    assert "colour profile" in outcome.out


@pytest.fixture
def trained(monkeypatch):
    """Replace training by saving an untrained small model; collects the recipes that were asked for."""
    recipes = []

    def train(recipe, folders, output, engine):
        recipes.append((recipe, folders))
        output.mkdir(parents=True, exist_ok=True)
        config = ModelConfig("untrained", channels=8, depth=1, hidden=8)
        ImageModel(config).save(output / f"{recipe.name}.safetensors")

    monkeypatch.setattr(barycode.training.images, "train", train)
    return recipes


def test_train_hands_its_options_on(run, trained, pictures, tmp_path):
    outcome = run("train", "images", pictures, "-o", tmp_path / "run", "--steps", "8", "--metric", "ms-ssim")
    assert outcome.code == 0, outcome.err
    ((recipe, folders),) = trained
    assert folders == [pictures]
    assert (recipe.name, recipe.metric, recipe.seed, recipe.start) == ("mine", "ms-ssim", 0, "photo")
    assert [(stage.kind, stage.steps) for stage in recipe.stages] == [("decoder", 8), ("contexts", 2)]
    assert "mine.safetensors" in outcome.out
    assert "steps ahead: 8 of the decoder and 2 of the contexts" in outcome.err
    assert "no report" in outcome.out


def test_train_reports_on_held_out_pictures(run, trained, tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(10):
        bench.synthetic((48 + i, 40)).save(tmp_path / "many" / f"{i}.png")
    outcome = run("train", "images", tmp_path / "many", "-o", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "run/report/report.json").read_text())
    assert report["pictures"] == 1
    assert set(report["codecs"]) == {"Barycode", "model at the start", "JPEG"}
    assert "model at the start" in report["bd_rate"]["Barycode"]["PSNR"]
    assert "BD-rate in PSNR against JPEG: " in outcome.out
    assert "better at these pictures" not in outcome.out


def test_train_says_when_the_model_at_the_start_is_better(run, tmp_path, monkeypatch):
    def train(recipe, folders, output, engine):
        output.mkdir()
        find_model("photo-msssim").save(output / "mine.safetensors")  # which gives up PSNR

    monkeypatch.setattr(barycode.training.images, "train", train)
    (tmp_path / "many").mkdir()
    for i in range(10):
        Image.fromarray(scene(208, 208 + i)).save(tmp_path / "many" / f"{i}.png")
    outcome = run("train", "images", tmp_path / "many", "-o", tmp_path / "run")
    assert "BD-rate in PSNR against model at the start: +" in outcome.out
    assert "The model at the start is better at these pictures: train for more steps" in outcome.out


def test_a_recipe_takes_no_options_beside_it(run, trained, pictures, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "own"\n[[stages]]\nkind = "decoder"\nsteps = 5\nlearning_rate = 1e-4\n')
    outcome = run("train", "images", pictures, "-o", tmp_path / "run", "--recipe", recipe, "--steps", "8")
    assert outcome.code == 1
    assert "leave out --steps" in outcome.err
    assert not trained
    assert run("train", "images", pictures, "-o", tmp_path / "run", "--recipe", recipe).code == 0
    assert trained[0][0].name == "own"
