"""A Hugging Face model folder in, a folder with model.bary and the small files out, and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from barycode import weights
from weights.networks import network, same


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tiny"
    (made / "onnx").mkdir(parents=True)
    (made / ".cache").mkdir()
    save_file(network(), made / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "blob").write_text(json.dumps({"model_type": "tiny"}))
    (made / "config.json").symlink_to(tmp_path / "blob")
    (made / "onnx" / "readme.txt").write_text("small")
    (made / "tokenizer.json").write_text("{}")
    (made / "flax_model.msgpack").write_bytes(b"the same weights again")
    (made / ".cache" / "x.txt").write_text("hidden")
    return made


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_there_and_back(folder, tmp_path, run):
    outcome = run("compress", folder, "--lossless")
    assert outcome.code == 0, outcome.err
    packed = tmp_path / "tiny-bary"
    assert names(packed) == ["config.json", "model.bary", "onnx/readme.txt", "tokenizer.json"]
    assert not (packed / "config.json").is_symlink()
    assert run("decompress", packed, "-o", tmp_path / "again").code == 0
    after, before = load_file(tmp_path / "again" / "model.safetensors"), network()
    assert all(same(after[name], before[name]) for name in before)
    assert names(tmp_path / "again") == [
        "config.json", "model.safetensors", "onnx/readme.txt", "tokenizer.json"
    ]  # fmt: skip
    assert (tmp_path / "again" / "config.json").read_text() == (folder / "config.json").read_text()


@pytest.mark.parametrize("kind", ["shards", "pytorch"])
def test_other_weights(folder, tmp_path, run, kind):
    (folder / "model.safetensors").unlink()
    if kind == "pytorch":
        torch.save(network(), folder / "pytorch_model.bin")
    else:
        save_file(network(), folder / "model-00001-of-00001.safetensors")
        index = {"weight_map": dict.fromkeys(network(), "model-00001-of-00001.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert run("compress", folder, "-o", tmp_path / "out").code == 0
    assert names(tmp_path / "out") == ["config.json", "model.bary", "onnx/readme.txt", "tokenizer.json"]
    assert weights.load(tmp_path / "out" / "model.bary").keys() == network().keys()


def test_what_is_there_is_not_replaced_without_asking(folder, tmp_path, run):
    assert run("compress", folder).code == 0
    for more, message in (
        ([], "exists already"),
        (["-o", folder], "itself"),
        (["-o", folder / "x"], "inside"),
        (["-o", folder / "config.json", "--force"], "exists already"),
    ):
        outcome = run("compress", folder, *more)
        assert outcome.code == 1
        assert message in outcome.err
    assert run("compress", folder, "--force").code == 0
    assert "model.bary" not in names(folder)


def test_what_stays_behind_is_told(folder, run):
    """The same weights in another form may; anything else may not where every bit was asked for."""
    outcome = run("compress", folder, "--lossless")
    assert outcome.code == 0
    assert "left out: flax_model.msgpack." in outcome.err
    (folder / "vae").mkdir()
    others = ("adapter_model.safetensors", "optimizer.pt", "vae/model.safetensors")
    for name in others:
        save_file(network(), folder / name)
    outcome = run("compress", folder, "--force")
    assert outcome.code == 0
    assert f"left out: {', '.join((others[0], 'flax_model.msgpack', *others[1:]))}." in outcome.err
    outcome = run("compress", folder, "--force", "--lossless")
    assert outcome.code == 1
    assert f"would lose it ({', '.join(others)})" in outcome.err


def test_shards_are_not_left_out(folder, tmp_path, run):
    (folder / "model.safetensors").unlink()
    (folder / "flax_model.msgpack").unlink()
    save_file(network(), folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(network(), "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "left out" not in run("compress", folder, "--lossless").err


def test_options_of_pictures_and_standard_output_are_refused(folder, tmp_path, run):
    assert "--quality goes with pictures" in run("compress", folder, "-q", "3").err
    assert "standard output is none" in run("compress", folder, "-o", "-").err
    assert run("compress", folder).code == 0
    assert "--strip goes with pictures" in run("decompress", tmp_path / "tiny-bary", "--strip").err
    assert names(tmp_path / "tiny-bary") == ["config.json", "model.bary", "onnx/readme.txt", "tokenizer.json"]


def test_nothing_is_left_of_a_folder_that_cannot_be_finished(folder, tmp_path, run):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-9])
    assert run("compress", folder).code == 1
    assert not (tmp_path / "tiny-bary").exists()
    (folder / "model.safetensors").write_bytes(whole)
    assert run("compress", folder).code == 0
    packed = tmp_path / "tiny-bary" / "model.bary"
    packed.write_bytes(packed.read_bytes()[:-9])
    assert run("decompress", tmp_path / "tiny-bary", "-o", tmp_path / "again").code == 1
    assert not (tmp_path / "again").exists()


def test_what_has_been_done_is_skipped(folder, tmp_path, run):
    assert run("compress", folder).code == 0
    outcome = run("compress", folder, "--skip-existing")
    assert (outcome.code, "skipped" in outcome.out) == (0, True)
