"""`barycode compress --engine local`, with the real codecs."""

import io
import json
import tarfile
from functools import partial

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from safetensors.torch import save_file

from barycode import weights
from barycode.data import webdataset_decoder
from barycode.images import compress
from barycode.training.autoencoders.codes import unpack_codes
from barycode.training.autoencoders.tokenizer import open_tokenizer
from encoders import tokens_run


def members(folder):
    found = {}
    for shard in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    return found


def test_a_folder_becomes_shards_of_what_compress_gives(run, photos, tmp_path):
    (photos / "damaged.png").write_bytes(b"no picture")
    call = ("compress", photos, "--engine", "local", "--workers", 2, "-q", 2, "-e", 0, "-o", tmp_path / "out")
    outcome = run(*call)
    assert outcome.code == 1
    assert "2 samples" in outcome.out
    assert "damaged.png is not a picture" in outcome.err
    with Image.open(photos / "a.png") as image:
        expected = compress(image, quality=2, effort=0)
    assert members(tmp_path / "out")["a.bary"] == expected
    assert set(members(tmp_path / "out")) == {"a.bary", "deep/b.bary"}
    again = run(*call)
    assert again.code == 1
    assert "shards are there already" in again.err
    other = run(*call, "-q", 3)
    assert other.code == 1
    assert "was made with other settings" in other.err


def test_what_a_single_run_prints_is_in_the_report(run, photos, tmp_path):
    """A video behind a photo, what is beside a state dict; a small picture grows, which is told as well."""
    with Image.open(photos / "a.png") as image:
        image.save(photos / "moving.jpg")
    with (photos / "moving.jpg").open("ab") as file:
        file.write(b"\0\0\0\x18ftypmp42" + bytes(50))
    torch.save({"state_dict": {"w": torch.randn(64, 64)}, "ema": {"w": torch.zeros(2)}}, photos / "net.pt")
    assert "a video" in run("compress", photos / "moving.jpg", "-o", tmp_path / "x.bary").out
    alone = run("compress", photos / "net.pt", "-o", tmp_path / "y.bary").err
    outcome = run("compress", photos, "--engine", "local", "--workers", 1, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    notes = [json.loads(line) for line in (tmp_path / "out" / "notes.jsonl").read_text().splitlines()]
    told = {(row["file"].rpartition("/")[2], row["note"]) for row in notes}
    assert ("moving.jpg", "left out: a video") in told
    assert ("net.pt", "left out: ema.") in told
    assert "net.pt: left out: ema." in alone
    assert f"{len(notes)} notes: {tmp_path / 'out' / 'notes.jsonl'}" in outcome.err


def test_a_folder_of_checkpoints(run, tmp_path):
    (tmp_path / "nets" / "one").mkdir(parents=True)
    save_file({"w": torch.arange(12.0).reshape(3, 4)}, tmp_path / "nets" / "one" / "model.safetensors")
    torch.save({"w": torch.ones(2)}, tmp_path / "nets" / "two.pt")
    outcome = run(
        "compress", tmp_path / "nets", "--lossless", "--engine", "local", "--workers", 1, "-o", tmp_path / "o"
    )
    assert outcome.code == 0, outcome.err
    found = members(tmp_path / "o")
    assert torch.equal(weights.decompress(found["one/model.bary"])["w"], torch.arange(12.0).reshape(3, 4))
    assert torch.equal(weights.decompress(found["two.bary"])["w"], torch.ones(2))


def test_settings_are_written_down(run, photos, tmp_path):
    run("compress", photos / "a.png", "--engine", "local", "--workers", 1, "-e", 0, "-o", tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert settings["pictures"]["effort"] == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--engine", "local"], "name it with --output"),
        (["--engine", "local", "-o", "out", "--address", "auto"], "add --engine ray"),
        (["--engine", "local", "-o", "FILE"], "is a file"),
        (["--engine", "local", "-o", "out", "--base", "FILE"], "do not go with --engine"),
        (["--engine", "local", "-o", "out", "--key", "ema"], "do not go with --engine"),
        (["--address", "auto"], "--engine"),
        (["--workers", "2"], "--engine"),
    ],
)
def test_wrong_calls_are_refused_in_a_sentence(more, message, run, photos):
    outcome = run("compress", photos, *[str(photos / "a.png") if word == "FILE" else word for word in more])
    assert outcome.code == 1
    assert message in outcome.err


def test_a_parquet_file_with_pictures(run, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow comes with the extra corpora")
    from pyarrow import parquet

    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, "PNG")
    parquet.write_table(arrow.table({"img": [stream.getvalue()], "label": [3]}), tmp_path / "t.parquet")
    outcome = run(
        "compress", tmp_path / "t.parquet", "--engine", "local", "--workers", 1, "-e", 0, "-o", tmp_path / "o"
    )
    assert outcome.code == 0, outcome.err
    assert set(members(tmp_path / "o")) == {"t-000000000.bary", "t-000000000.json"}


@pytest.mark.filterwarnings("ignore:unclosed file")  # webdataset's
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_shards_of_codebook_indices_are_data_sets(run, photos, tmp_path):
    trained = tokens_run(tmp_path / "runs")
    call = ("compress", photos, "--engine", "local", "--workers", 1, "--indices", trained, "--side", 16)
    outcome = run(*call, "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    quantizer = open_tokenizer(trained).quantizer
    items = []
    for shard in sorted((tmp_path / "out").glob("*.tar")):
        stream = webdataset.WebDataset(str(shard), shardshuffle=False)
        items += stream.decode(webdataset_decoder(partial(unpack_codes, quantizer)))
    assert sorted(item["__key__"] for item in items) == ["a", "deep/b"]
    assert all(item["bary"].shape == (4, 4) and int(item["bary"].max()) < 16 for item in items)
    other = run(*call[:-1], 32, "-o", tmp_path / "out")
    assert "was made with other settings" in other.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--indices", "RUN"), "--engine"),
        (("--engine", "local", "--side", "8"), "goes with --indices"),
        (("--engine", "local", "--indices", "RUN", "-q", "3"), "leave out"),
        (("--engine", "local", "--indices", "nowhere"), "nowhere does not exist"),
    ],
)
def test_indices_that_cannot_be_are_refused(run, photos, tmp_path, options, told):
    given = [str(tokens_run(tmp_path / "runs")) if option == "RUN" else option for option in options]
    outcome = run("compress", photos, *given, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert told in outcome.err
