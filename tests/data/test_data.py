import functools
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from barycode.data import BaryDataset, picture_codes, pixels, webdataset_decoder
from barycode.errors import BarycodeError, CorruptFileError, MissingDataError, UnsupportedFileError
from barycode.images import compress, decompress
from barycode.quantizers import VectorQuantizer
from barycode.training.autoencoders.codes import pack_codes, unpack_codes


def picture(mode: str, size: tuple[int, int] = (30, 20)) -> Image.Image:
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8).clip(90, 160))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures of 30 x 20, one of them in a folder further down, and a stranger."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "b").mkdir()
    for index, name in enumerate(("a.bary", "b/a.bary", "c.bary")):
        (folder / name).write_bytes(compress(picture("RGB"), quality=1 + index, effort=0))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pixels_are_those_of_decompress(mode):
    channels = {"L": 1, "LA": 2}.get(mode, len(mode))
    array = np.random.default_rng(0).integers(90, 160, (20, 30, channels), np.uint8)
    data = compress(array, quality=2, effort=0)
    own = pixels(data, mode=None)
    assert own.dtype == torch.uint8
    assert own.shape == (channels, 20, 30)
    decoded = decompress(data)
    assert decoded.mode == mode
    np.testing.assert_array_equal(own.movedim(0, -1).numpy().squeeze(), np.asarray(decoded))
    np.testing.assert_array_equal(pixels(data).movedim(0, -1).numpy(), np.asarray(decoded.convert("RGB")))


def test_codes_are_whole_numbers_for_each_block_and_finer_steps_have_larger_ones():
    coarse, fine = (picture_codes(compress(picture("RGB"), quality=q, effort=0)) for q in (1, 5))
    assert coarse.shape == fine.shape == (192, 3, 4)
    assert coarse.dtype == torch.int16
    assert coarse.abs().sum() < fine.abs().sum()


def test_a_drawing_has_no_codes():
    array = np.zeros((40, 40, 3), np.uint8)
    array[10:20, 5:30] = 200, 10, 10
    with pytest.raises(UnsupportedFileError, match="pixels"):
        picture_codes(compress(array, effort=0))


def test_codes_need_no_decoder_network(monkeypatch):
    data = compress(picture("RGB"), effort=0)
    expected = picture_codes(data)

    def refuse(*_):
        raise AssertionError("painted")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    monkeypatch.setattr(torch.nn.ConvTranspose2d, "forward", refuse)
    assert torch.equal(picture_codes(data), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_what_decompress_gives(folder, workers):
    files = BaryDataset(folder)
    assert [str(path.relative_to(folder)) for path in files.paths] == ["a.bary", "b/a.bary", "c.bary"]
    batches = list(DataLoader(files, batch_size=2, num_workers=workers))
    assert [batch.shape for batch in batches] == [(2, 3, 20, 30), (1, 3, 20, 30)]
    decoded = [np.asarray(decompress(path.read_bytes())) for path in files.paths]
    np.testing.assert_array_equal(torch.cat(batches).movedim(1, -1).numpy(), np.stack(decoded))


def test_codes_of_an_autoencoder(tmp_path):
    quantizer, codes = VectorQuantizer(8, 2), torch.arange(24).reshape(2, 3, 4) % 8
    (tmp_path / "codes.bary").write_bytes(pack_codes(quantizer, codes))
    (item,) = BaryDataset([tmp_path / "codes.bary"], functools.partial(unpack_codes, quantizer))
    assert torch.equal(item, codes)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_is_named(folder, tmp_path, workers):
    shutil.copy(folder / "a.bary", tmp_path / "good.bary")
    (tmp_path / "bad.bary").write_bytes((folder / "a.bary").read_bytes()[:-9])
    with pytest.raises(CorruptFileError, match=r"bad\.bary"):
        list(DataLoader(BaryDataset(tmp_path), num_workers=workers))


@pytest.mark.parametrize("source", [list, lambda: "no-such-folder"])
def test_nothing_to_read(source):
    with pytest.raises(MissingDataError, match="barycode compress"):
        BaryDataset(source())


def test_codes_of_something_else():
    with pytest.raises(BarycodeError, match="not a picture"):
        picture_codes(pack_codes(VectorQuantizer(8, 2), torch.zeros(3, dtype=torch.int64)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves shards open
def test_shards_of_webdataset(folder, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    shard = tmp_path / "shard-000000.tar"
    with tarfile.open(shard, "w") as tar:
        for index, path in enumerate(BaryDataset(folder).paths):
            (tmp_path / "label").write_text(str(index))
            tar.add(path, f"{index:06d}.bary")
            tar.add(tmp_path / "label", f"{index:06d}.cls")
    shards = webdataset.WebDataset(str(shard), shardshuffle=False).decode(webdataset_decoder(picture_codes))
    pairs = list(shards.to_tuple("bary", "cls"))
    assert [label for _, label in pairs] == [0, 1, 2]
    for codes, label in pairs:
        assert torch.equal(codes, picture_codes(BaryDataset(folder).paths[label].read_bytes()))
