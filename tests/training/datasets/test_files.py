import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from barycode.errors import CorruptFileError, InvalidInputError, MissingDataError
from barycode.training.datasets import image_folder, picture_files, picture_folder, picture_tar


@pytest.fixture
def folder(tmp_path, images):
    """a/0.png, a/1.png, b/2.png and a file that is not a picture."""
    for i, where in enumerate(("a", "a", "b")):
        (tmp_path / where).mkdir(exist_ok=True)
        Image.fromarray(images[i]).save(tmp_path / where / f"{i}.PNG")
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    return tmp_path


def test_a_folder_gives_all_pictures_below_it_in_order(folder, images):
    pictures = picture_folder(folder)
    assert pictures.names == ("0", "1", "2")
    assert pictures.labels is None
    assert np.array_equal(pictures.array(), images[:3])


def test_class_folders_give_labels(folder):
    pictures = image_folder(folder)
    assert pictures.labels == (0, 0, 1)
    assert pictures.names == ("0", "1", "2")


def test_sets_are_sequences(folder, images):
    pictures = image_folder(folder)
    assert len(pictures) == 3
    assert np.array_equal(pictures[-1], images[2])
    assert len(list(pictures)) == 3
    tail = pictures[1:]
    assert (tail.names, tail.labels) == (("1", "2"), (0, 1))
    assert np.array_equal(tail[0], images[1])
    assert pictures.subset([2, 0]).names == ("2", "0")
    with pytest.raises(IndexError):
        pictures[3]


def test_sizes_that_differ_make_no_array_unless_resized(folder):
    Image.new("RGB", (20, 20)).save(folder / "large.png")
    pictures = picture_folder(folder)
    with pytest.raises(InvalidInputError, match="2 sizes"):
        pictures.array()
    assert pictures.array((4, 3)).shape == (4, 3, 4, 3)


def test_everything_becomes_upright_rgb(tmp_path):
    image = Image.new("L", (4, 2), 100)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter turn
    image.save(tmp_path / "turned.jpg", exif=exif)
    (read,) = picture_folder(tmp_path)
    assert (read.mode, read.size) == ("RGB", (2, 4))


def test_a_tar_is_read_in_place(folder, images):
    path = folder / "all.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder / "b", arcname="deep/b")
        tar.add(folder / "a", arcname="a")
    pictures = picture_tar(path)
    assert pictures.names[0] == "2"
    assert set(pictures.names) == {"0", "1", "2"}
    assert np.array_equal(pictures[0], images[2])


def test_bad_files_are_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(CorruptFileError, match=r"broken\.png cannot be read"):
        picture_files([tmp_path / "broken.png"])[0]
    (tmp_path / "broken.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(CorruptFileError, match=r"broken\.tar is not an uncompressed tar"):
        picture_tar(tmp_path / "broken.tar")


def test_a_broken_member_of_a_tar_is_named(tmp_path):
    path = tmp_path / "some.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("dir/bad.jpg")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"junk"))
    with pytest.raises(CorruptFileError, match=r"dir/bad\.jpg in .*some\.tar"):
        picture_tar(path)[0]


def test_empty_places_say_so(tmp_path):
    with pytest.raises(MissingDataError, match="holds no pictures"):
        picture_folder(tmp_path)
    with pytest.raises(MissingDataError, match="no class folders"):
        image_folder(tmp_path / "nowhere")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(MissingDataError, match="holds no pictures"):
        picture_tar(tmp_path / "empty.tar")
