"""CIFAR-10, GTSRB, mosaic packs, and the way from a path to a reader."""

import io
import os
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from barycode.errors import CorruptFileError, MissingDataError
from barycode.training.datasets import cifar10, data_folder, gtsrb, mosaic_pack, open_pictures


def webp(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture
def pack(tmp_path, images):
    """Five tiles, four a mosaic of two columns; the second mosaic is filled up with black."""
    filled = np.concatenate([images, np.zeros((3, 6, 8, 3), np.uint8)]).reshape(2, 2, 2, 6, 8, 3)
    files = [webp(np.ascontiguousarray(m.transpose(0, 2, 1, 3, 4).reshape(12, 16, 3))) for m in filled]
    content = {
        "webp": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "count": 5, "per": 4, "cols": 2, "tile": np.array([6, 8]), "labels": np.arange(5),
    }  # fmt: skip
    np.savez(tmp_path / "pack.npz", **content)
    return tmp_path / "pack.npz"


def test_a_mosaic_pack_gives_its_tiles_in_order(pack, images):
    pictures = mosaic_pack(pack)
    assert np.array_equal(pictures.array(), images)
    assert pictures.labels == (0, 1, 2, 3, 4)


def test_a_pack_with_pickles_or_without_keys_is_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", webp=np.array([{}], dtype=object))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("objects", "other", "text"):
        with pytest.raises(CorruptFileError, match=f"{name}.npz is not a pack"):
            mosaic_pack(tmp_path / f"{name}.npz")


class Python2Pickler(pickle._Pickler):
    """Writes every string as Python 2 did, which is how the public batches are."""

    def save_string(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string}


def write_cifar(folder, names, per=2):
    """Batches as the public files have them: bytes as keys, rows of 1024 red, green and blue values."""
    generator, planes = np.random.default_rng(1), []
    for i, name in enumerate(names):
        data = generator.integers(0, 256, (per, 3072), dtype=np.uint8)
        planes.append(data)
        batch = {b"data": data, b"labels": [i] * per, b"batch_label": b"x", b"filenames": [b"f"] * per}
        with (folder / name).open("wb") as file:
            Python2Pickler(file, protocol=2).dump(batch)
    return np.concatenate(planes)


def test_cifar10_batches(tmp_path):
    planes = write_cifar(tmp_path, [f"data_batch_{i}" for i in range(1, 6)])
    pictures = cifar10(tmp_path, "train")
    assert pictures.labels == (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)
    pixels = pictures.array()
    assert pixels.shape == (10, 32, 32, 3)
    assert pixels[3, 5, 7].tolist() == [planes[3, 1024 * c + 5 * 32 + 7] for c in range(3)]


def test_cifar10_test_batch(tmp_path):
    write_cifar(tmp_path, ["test_batch"])
    assert len(cifar10(tmp_path, "test")) == 2
    with pytest.raises(MissingDataError, match="data_batch_1 does not exist"):
        cifar10(tmp_path, "train")


class Attack:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    "content", [pickle.dumps(Attack()), b"junk", b"", pickle.dumps({}), pickle.dumps([1])]
)
def test_a_hostile_or_broken_cifar_batch_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(CorruptFileError, match="is not a CIFAR-10 python batch"):
        cifar10(tmp_path, "test")
    assert not (tmp_path / "pwned").exists()


def test_gtsrb_in_its_public_layout(tmp_path, images):
    for where in ("Final_Training/Images/00000", "Final_Training/Images/00014", "Final_Test/Images"):
        (tmp_path / where).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(images[i]).save(tmp_path / where / f"0000{i}.ppm")
    table = "Filename;Width;Height;ClassId\n00001.ppm;8;6;14\n00000.ppm;8;6;3\n"
    with pytest.raises(MissingDataError, match=r"no GT-final_test\.csv"):
        gtsrb(tmp_path, "test")
    (tmp_path / "GT-final_test.csv").write_text(table)
    assert gtsrb(tmp_path, "train").labels == (0, 0, 1, 1)
    test = gtsrb(tmp_path, "test")
    assert test.labels == (14, 3)
    assert np.array_equal(test[0], images[1])


def test_a_path_finds_its_reader(pack, tmp_path, images):
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    assert len(open_pictures(pack)) == 5
    assert open_pictures(tmp_path / "one.png").names == ("one",)
    assert len(open_pictures(tmp_path)) == 1
    with pytest.raises(MissingDataError, match=r"nowhere does not exist"):
        open_pictures(tmp_path / "nowhere")


def test_the_data_folder_is_given_or_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("BARYCODE_DATA", raising=False)
    with pytest.raises(MissingDataError, match="--data FOLDER or set BARYCODE_DATA"):
        data_folder()
    monkeypatch.setenv("BARYCODE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    (tmp_path / "inner").mkdir()
    assert data_folder(tmp_path / "inner") == tmp_path / "inner"
    with pytest.raises(MissingDataError, match="no data folder at"):
        data_folder(tmp_path / "missing")
