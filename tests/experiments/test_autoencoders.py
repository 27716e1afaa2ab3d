"""The experiments on autoencoders, on made-up pictures and for two steps."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytorch_msssim
import torch
from PIL import Image

from barycode.errors import InvalidInputError
from barycode.experiments import sweep
from barycode.experiments.document_tables import TABLE_END, table_start
from barycode.experiments.results import ResultsFile
from barycode.training.autoencoders import pictures as pictures_module
from barycode.training.autoencoders.pictures import Pictures

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
MODULES = ("run", "report", "features", "similarity", "ablation")


def made_up(side):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (300, side, side, 3), dtype=np.uint8)
    return Pictures(images[:280], images[280:290], images[290:])


@pytest.fixture
def folder(tmp_path):
    """Of an experiment, two levels below the root of a project."""
    place = tmp_path / "experiments/one"
    place.mkdir(parents=True)
    (place / "README.md").write_text(f"{table_start()}\n{TABLE_END}\n")
    return place


@pytest.fixture
def experiment(monkeypatch, folder):
    """Loads the run.py of an experiment with its output in `folder` and made-up pictures of a side."""

    def load(name, side=8):
        for module in MODULES:
            sys.modules.pop(module, None)
        monkeypatch.syspath_prepend(str(EXPERIMENTS / name))
        import run

        monkeypatch.setattr(run, "HERE", folder)
        if hasattr(run, "EXPERIMENT"):
            run.main = replace(run.EXPERIMENT, folder=folder).main
        else:
            monkeypatch.setattr(run, "RUNS", folder / "runs")
        for module in (run, sweep, pictures_module):
            if hasattr(module, "load_pictures"):
                monkeypatch.setattr(module, "load_pictures", lambda *_: made_up(side))
        return run

    yield load
    for module in MODULES:
        sys.modules.pop(module, None)


def rows_of(folder):
    return json.loads((folder / "results.json").read_text())


def test_equal_size_interrupted_resumed_and_evaluated_again(experiment, monkeypatch, folder):
    run = experiment("scq-cifar10-gtsrb")
    monkeypatch.setattr(run, "STEPS", 2)  # only runs of the usual length leave their weights
    settings = {"data": folder, "steps": 2, "seeds": 1, "methods": "vq-ema,none"}
    run.main(**settings, minutes=0)
    assert not (folder / "results.json").exists()
    run.main(**settings)
    rows = rows_of(folder)
    assert [(row["data"], row["method"], row["transform"]) for row in rows] == [
        (data, method, transform)
        for data, transform in (("cifar10", True), ("gtsrb", True), ("cifar10", False))
        for method in ("vq-ema", "none")
    ]
    assert all(row["mse"] > 0 and len(row["curve"]) == 2 for row in rows)
    run.main(**settings)
    assert rows_of(folder)[0]["mse"] == rows[0]["mse"]
    with pytest.raises(SystemExit) as done:
        run.main(**settings, evaluate_only=True)
    assert done.value.code == 0
    rows[0]["mse"] *= 1.1
    (folder / "results.json").write_text(json.dumps(rows))
    with pytest.raises(SystemExit) as done:
        run.main(**settings, evaluate_only=True)
    assert done.value.code == 1


def test_steps_are_timed_in_turns_once_for_each_method(experiment, folder):
    run = experiment("equal-bits")
    settings = {"data": folder, "steps": 2, "seeds": 2, "methods": "fsq,vq-revive"}
    run.main(**settings)
    rows = rows_of(folder)
    (folder / "results.json").write_text(json.dumps([{**row, "step_seconds": 1e9} for row in rows]))
    run.main(**settings, time_steps=True)
    timed = [(row["method"], row["codebook_size"]) for row in rows_of(folder) if "step_seconds" in row]
    assert sorted(timed) == [("fsq", 512), ("fsq", 2**18), ("vq-revive", 512)]
    assert all(0 < row.get("step_seconds", 1) < 1e3 for row in rows_of(folder))
    for document in ("report.md", "README.md"):
        assert "| 1.0 |" in (folder / document).read_text()


def test_kept_weights_stand_in_for_a_checkpoint(experiment, monkeypatch, folder):
    run = experiment("scq-cifar10-gtsrb")
    monkeypatch.setattr(run, "STEPS", 1)
    run.main(data=folder, steps=1, seeds=1, methods="vq-ema")
    recipe = next(iter(run.plan(steps=1)))
    trained = sweep.Run(recipe, made_up(8), folder.parents[1] / "runs/autoencoders").model
    fresh = sweep.Run(recipe, made_up(8), folder / "elsewhere")
    other = sweep.Run(replace(recipe, seed=5), made_up(8), folder / "elsewhere")
    assert not torch.equal(fresh.model.encoder[0].weight, trained.encoder[0].weight)
    restored = sweep.restore(fresh, folder.parent)
    assert restored.loop.done == 1
    assert torch.equal(restored.model.encoder[0].weight, trained.encoder[0].weight)
    assert sweep.restore(other, folder.parent).loop.done == 0, "nobody kept the weights of that seed"


def test_iterations_close_the_gap_between_the_two_algorithms(experiment, monkeypatch, folder):
    run = experiment("scq-cifar10-gtsrb")
    monkeypatch.setattr(run, "STEPS", 1)
    run.main(data=folder, steps=1, seeds=1, methods="scq-exact")
    import ablation

    monkeypatch.setattr(ablation, "HERE", folder)
    monkeypatch.setattr(ablation, "load_pictures", lambda *_: made_up(8))
    monkeypatch.setattr(ablation, "REGULARIZATIONS", (0.3,))
    monkeypatch.setattr(ablation, "ROUNDS", 1)
    ablation.main(data=folder)
    rows = json.loads((folder / "ablation.json").read_text())
    relaxed, exact = rows[0], rows[-1]
    assert exact["quantization_error"] < relaxed["quantization_error"]
    assert exact["mse"] < relaxed["mse"]
    assert exact["gradient_error_z"] < 1e-3 < relaxed["gradient_error_z"]
    assert "Algorithm 2" in (folder / "ablation.md").read_text()
    assert (folder / "ablation.png").exists()


def test_equal_bits_are_those_of_real_files(experiment, folder):
    run = experiment("equal-bits")
    run.main(data=folder, steps=2, seeds=1, methods="sparse-2-2,residual-4")
    for row in rows_of(folder):
        assert row["mse_from_bytes"] == pytest.approx(row["mse"], rel=1e-4)
        assert row["bits_a_vector"] == pytest.approx(8 * row["bytes"] / (10 * 2 * 2), rel=1e-4)
    assert "bits a vector" in (folder / "report.md").read_text()


def test_errors_are_compared_at_the_bits_of_each(experiment):
    experiment("equal-bits")
    from report import over_line, stored

    def row(method, bits, error, size=512):
        return {"method": method, "codebook_size": size, "bits_a_vector": bits, "mse_from_bytes": error}

    ends = [row("vq-revive", 8.0, 0.004), row("residual-2", 10.0, 0.001)]
    column = over_line([*ends, row("fsq", 9.0, 0.5)])
    assert [column.value(end) for end in ends] == pytest.approx([0, 0])
    assert column.value(row("fsq", 9.0, 0.0022)) == pytest.approx(10)  # the line has 0.002 there
    assert column.value({**ends[0], "bits_a_vector": None}) is None
    assert over_line(ends[:1]).value(ends[0]) is None
    assert [stored(one) for one in (*ends, row("fsq", 9.0, 1.0), row("none", None, 1.0))] == [
        512,
        1024,
        0,
        None,
    ]


class FewFeatures:
    """Mean colours, in place of a network's features."""

    def __init__(self, path, data):
        assert path.name == "resnet32_cifar10.safetensors"
        self.known = self.of(pictures_module.to_tensor(data))

    def of(self, pictures):
        return pictures.mean((2, 3))


def test_prior_over_codes(experiment, monkeypatch, folder):
    run = experiment("prior")
    monkeypatch.setattr(run, "Features", FewFeatures)
    monkeypatch.setattr(run, "SAMPLES", 24)
    settings = {"data": folder, "autoencoder_steps": 2, "prior_steps": 2, "seeds": 1}
    run.main(**settings, methods="residual-2,vq-revive")
    rows = rows_of(folder)
    assert [row["method"] for row in rows] == ["vq-revive", "residual-2"]
    assert all(0 < row["prior_bits_a_vector"] < 12 for row in rows)
    assert all(row["frechet_samples"] > 0 < row["frechet_reconstructions"] for row in rows)
    with (
        Image.open(folder / "samples/residual-2.png") as samples,
        Image.open(folder / "samples.png") as sheet,
    ):
        assert samples.size == (2 * 8 * 8, 2 * 3 * 8)  # 24 of 8x8 in rows of eight, enlarged twice
        assert sheet.width > 2 * samples.width  # two methods side by side


def test_a_prior_is_measured_again_on_the_autoencoder_of_equal_bits(experiment, monkeypatch, folder):
    settings = {"data": folder, "methods": "vq-revive"}
    source = experiment("equal-bits")
    monkeypatch.setattr(source, "STEPS", 2)
    source.main(**settings, steps=2, seeds=1)
    (folder / "results.json").unlink()
    run = experiment("prior")
    monkeypatch.setattr(run, "Features", FewFeatures)
    monkeypatch.setattr(run, "SAMPLES", 16)
    run.main(**settings, autoencoder_steps=2, prior_steps=2, seeds=1)
    monkeypatch.setattr(run, "AUTOENCODERS", folder / "weights")
    with pytest.raises(SystemExit) as done:
        run.main(**settings, again=True)
    assert done.value.code == 0


def test_similarity_is_the_known_one_where_five_scales_fit(experiment):
    experiment("scqgan-lsun")
    from similarity import ms_ssim

    torch.manual_seed(0)
    x = torch.rand(2, 3, 176, 192)
    y = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    expected = pytorch_msssim.ms_ssim(x, y, data_range=1.0, size_average=False)
    torch.testing.assert_close(ms_ssim(x, y, weights), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(2))


def test_a_generator_against_a_discriminator(experiment, monkeypatch, folder):
    run = experiment("scqgan-lsun", side=64)
    monkeypatch.setattr(run, "FeatureDistance", lambda path: lambda a, b: (a - b).square().mean((1, 2, 3)))
    monkeypatch.setattr(run, "BATCH", 8)
    run.main(data=folder, steps=2, seeds=1, methods="vq-ema")
    (row,) = rows_of(folder)
    assert 0 < row["ms_ssim_3"] < 1
    with (
        Image.open(folder / "pictures" / f"{row['name']}.png") as strip,
        Image.open(folder / "pictures-2.png") as sheet,
    ):
        assert strip.size == (8 * 64, 64)
        assert sheet.width > 2 * strip.width
        assert sheet.height > 2 * 2 * strip.height  # the originals and one method, enlarged twice


def test_a_run_that_diverges_is_told_and_does_not_stop_the_others(experiment, monkeypatch, folder):
    run = experiment("equal-bits")
    step = sweep.Run.step

    def diverge(self):
        if self.recipe.method == "fsq":
            raise InvalidInputError("The loss became nan.")
        return step(self)

    monkeypatch.setattr(sweep.Run, "step", diverge)
    run.main(data=folder, steps=1, seeds=1, methods="fsq,none")
    rows = {row["method"]: row for row in rows_of(folder)}
    assert rows["fsq"]["failed"] == "The loss became nan."
    assert rows["none"]["mse"] > 0


@pytest.mark.parametrize("name", ["scq-cifar10-gtsrb", "equal-bits", "scqgan-lsun", "prior"])
def test_committed_tables_are_what_the_committed_rows_give(experiment, monkeypatch, tmp_path, name):
    copy = tmp_path / "experiments" / name
    shutil.copytree(EXPERIMENTS / name, copy, ignore=shutil.ignore_patterns("weights", "*.lock"))
    run = experiment(name)
    monkeypatch.setattr(run, "HERE", copy)
    results = ResultsFile(copy / "results.json")
    if name == "prior":
        run.write_report(results)
    else:
        run.write_report(results.rows().values(), copy)
    for document in ("README.md", "report.md"):
        assert (copy / document).read_text() == (EXPERIMENTS / name / document).read_text()
