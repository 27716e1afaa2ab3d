"""What is taken in: folders, lists, WebDataset shards, Parquet files."""

import io
import json
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barycode.corpora.files import cut_files, read_files
from barycode.corpora.listing import list_inputs
from barycode.corpora.portions import Portion
from barycode.corpora.tables import cut_table, read_table
from barycode.corpora.tars import cut_tar, read_tar
from barycode.errors import InvalidInputError, MissingDataError

PICTURES = frozenset({".png", ".jpg"})


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def listed(root, *inputs, suffixes=PICTURES):
    listing = list_inputs([str(path) for path in inputs], suffixes, root / "out")
    return [os.path.relpath(path, root) for path in listing.all]


def test_folders_are_listed_in_order_without_the_output(tmp_path):
    touch(
        tmp_path, "b/2.png", "b/10.PNG", "a.jpg", "b/c/x.tar", "t.parquet", "note.txt", "out/shard-000000.tar"
    )
    assert listed(tmp_path, tmp_path) == ["a.jpg", "b/10.PNG", "b/2.png", "b/c/x.tar", "t.parquet"]


def test_a_list_names_files_of_every_kind_and_what_is_missing_fails_later(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "x.tar", "odd name .png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text(f"a.jpg\n\nodd name .png\n{tmp_path / 'gone.png'}\nx.tar\na.jpg\n")
    assert listed(tmp_path, "list.txt") == ["a.jpg", "odd name .png", "gone.png", "x.tar"]


def test_nothing_to_do_is_an_error(tmp_path):
    touch(tmp_path, "a.doc")
    with pytest.raises(MissingDataError, match="nothing to compress"):
        listed(tmp_path, tmp_path)
    with pytest.raises(MissingDataError, match=r"none\.tar does not exist"):
        listed(tmp_path, tmp_path / "none.tar")
    with pytest.raises(InvalidInputError, match="standard input"):
        list_inputs(["-"], PICTURES, tmp_path)


def test_a_checkpoint_in_several_files_is_one(tmp_path):
    touch(tmp_path, "m/model-1.safetensors", "m/model-2.safetensors", "m/other.safetensors", "x.index.json")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "m/model.safetensors.index.json").write_text(json.dumps(index))
    found = listed(tmp_path, tmp_path, suffixes=frozenset({".safetensors"}))
    assert found == ["m/model.safetensors.index.json", "m/other.safetensors"]


NAMES = st.lists(
    st.builds(
        lambda stem, suffix: f"{stem}{suffix}",
        st.text("ab._-", min_size=1, max_size=4),
        st.sampled_from([".png", ".jpg", ".JPG", ".p", ""]),
    ).filter(lambda name: name not in (".", "..")),
    unique=True,
)


@given(NAMES)
def test_no_two_files_of_a_portion_have_the_same_key_and_no_key_ends_at_a_dot(names):
    paths = tuple(f"/r/{name}" for name in names)
    samples = list(read_files(Portion("files", paths, paths, root="/r")))
    keys = [sample.key for sample in samples]
    assert len(set(keys)) == len(names)
    assert not any("." in key for key in keys)
    assert [sample.name for sample in samples] == list(paths)


SHARD = {
    "deep.er/000.jpg": b"first",
    "deep.er/000.json": b"{}",
    "001.input.png": b"in",
    "001.target.png": b"out",
    "001.cls": b"7",
    "002.txt": b"no picture",
    "003.jpg": b"BAD",
    "004.pt": b"a tensor",
    "004.png": b"last",
}


def test_samples_of_shards_keep_their_keys_and_what_lies_beside(tmp_path, corpus):
    write_tar(tmp_path / "in.tar", SHARD)
    run = corpus.run(tmp_path / "in.tar", size=10)
    assert corpus.members() == {
        "deep.er/000.bary": b"tsrif",
        "deep.er/000.json": b"{}",
        "001.input.bary": b"ni",
        "001.target.bary": b"tuo",
        "001.cls": b"7",
        "004.pt": b"a tensor",
        "004.bary": b"tsal",
    }
    path = tmp_path / "in.tar"
    assert [f.name for f in run.failures()] == [f"002 in {path}", f"003 in {path}"]
    assert sum(record.bytes_in for record in run.done.values()) == len(b"firstinoutlast")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, None])
def test_portions_of_a_shard_are_all_of_it(count, tmp_path):
    write_tar(tmp_path / "in.tar", SHARD)
    portions = list(cut_tar(str(tmp_path / "in.tar"), "", count))
    assert len(portions) == (1 if count is None else -(-5 // count))
    keys = [sample.key for portion in portions for sample in read_tar(portion)]
    assert keys == ["deep.er/000", "001", "002", "003", "004"]


@pytest.mark.parametrize("cut", [600, 1600, 2000])
def test_a_shard_that_ends_early_gives_what_it_has_and_an_error(cut, tmp_path, corpus):
    files = {f"{n}.png": b"x" * 500 for n in range(4)}
    write_tar(tmp_path / "0.tar", files)
    for n in range(1, 8):
        write_tar(tmp_path / f"{n}.tar", {f"{n}-more.png": b"y"})
    data = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(data[:cut])
    run = corpus.run(*(tmp_path / f"{n}.tar" for n in range(8)), size=10)
    assert len(corpus.members()) == 7 + cut // 1024
    assert len(run.failures()) == 1


@pytest.mark.parametrize("name", ["0.tar", "0.parquet"])
def test_a_damaged_input_is_a_failure_of_its_own_and_taken_again_once_mended(name, tmp_path, corpus):
    (tmp_path / name).write_bytes(b"neither" * 1000)
    write_tar(tmp_path / "1.tar", {"1.png": b"y"})
    for _ in range(2):
        run = corpus.run(tmp_path / name, tmp_path / "1.tar")
        assert [failure.name for failure in run.failures()] == [str(tmp_path / name)]
        assert list(corpus.members()) == ["1.bary"]
    if name == "0.tar":
        write_tar(tmp_path / name, {"0.png": b"x"})
    else:
        write_table(tmp_path / name, {"image": [b"x"]})
    run = corpus.run(tmp_path / name, tmp_path / "1.tar")
    assert not run.failures()
    assert len(run.portions) == 3


def write_table(path, columns, rows_a_group=2):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow comes with the extra corpora")
    from pyarrow import parquet

    parquet.write_table(arrow.table(columns), path, row_group_size=rows_a_group)


def test_rows_of_tables_are_samples_and_other_columns_go_beside(tmp_path, corpus):
    images = [{"bytes": b"row %d" % n, "path": f"{n}.jpg"} for n in range(5)]
    images[3] = {"bytes": None, "path": None}
    write_table(tmp_path / "t.parquet", {"image": images, "label": [*range(5)]})
    run = corpus.run(tmp_path / "t.parquet", size=3)
    assert len(run.portions) == 2
    assert list(corpus.members()) == [f"t-{n:09d}.{end}" for n in (0, 1, 2, 4) for end in ("bary", "json")]
    assert corpus.members()["t-000000004.bary"] == b"4 wor"
    assert json.loads(corpus.members()["t-000000004.json"]) == {"label": 4}
    assert [failure.name for failure in run.failures()] == [f"row 3 of {tmp_path / 't.parquet'}"]


def test_the_column_of_a_table_is_found_or_named(tmp_path):
    path = str(tmp_path / "t.parquet")
    write_table(path, {"a": [b"1"], "b": [b"2"], "c": [3]})
    with pytest.raises(InvalidInputError, match="2 columns of bytes among a, b, c"):
        list(cut_table(path, "", 10))
    with pytest.raises(InvalidInputError, match="no column 'd'"):
        list(cut_table(path, "", 10, "d"))
    (portion,) = cut_table(path, "", 10, "b")
    (sample,) = read_table(portion)
    assert [part.content for part in sample.parts] == [b"2", b'{"a": "MQ==", "c": 3}']


def a_member(name, data=b"x", **fields):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


STRANGE = {
    "absolute": a_member("/etc/a.png"),
    "above": a_member("../a.png"),
    "above, inside": a_member("b/../../a.png"),
    "here": a_member("./b/./a.png"),
    "empty": a_member(".png"),
    "empty in a folder": a_member("b/.png"),
    "two slashes": a_member("b//a.png"),
    "control": a_member("b/\x1b[31ma.png"),
    "newline": a_member("a\nb.png"),
    "zero": a_member("a.png", pax_headers={"path": "a\0b.png"}),
    "long": a_member("n" * 10_000 + ".png"),
    "longest": a_member("n" * 4096 + ".png"),
    "soft link": a_member("l.png", b"", type=tarfile.SYMTYPE, linkname="/etc/hostname"),
    "hard link": a_member("l.png", b"", type=tarfile.LNKTYPE, linkname="good.png"),
    "device": a_member("l.png", b"", type=tarfile.CHRTYPE),
    "fifo": a_member("l.png", b"", type=tarfile.FIFOTYPE),
    "long suffix": a_member("a." + "n" * 10_000 + ".png"),
}


KEPT = {  # names that are long and no more, to the last letter
    "longest": "n" * 4096 + ".bary",
    "long suffix": "a." + "n" * 10_000 + ".bary",
}
REASONS = {
    "control": "control characters",
    "newline": "control characters",
    "zero": "control characters",
    "long": "has a name of 10,000 characters, more than 4,096",
    **dict.fromkeys(("soft link", "hard link", "device", "fifo"), "is a link or a device"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_name_in_a_tar_is_a_failure_or_kept_and_the_others_are_done(kind, tmp_path, corpus):
    with tarfile.open(tmp_path / "in.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in (a_member("first.png"), STRANGE[kind], a_member("good.png", b"last")):
            tar.addfile(member, io.BytesIO(data))
    run = corpus.run(tmp_path / "in.tar", size=10)
    made = corpus.members()
    assert (made.pop("first.bary"), made.pop("good.bary")) == (b"x", b"tsal")
    assert made == ({KEPT[kind]: b"x"} if kind in KEPT else {})
    reasons = [failure.reason for failure in run.failures()]
    assert len(reasons) == (kind not in KEPT)
    for reason in reasons:
        assert REASONS.get(kind, "is empty or leads out of its folder") in reason
        assert "\n" not in reason


@pytest.mark.parametrize(
    "names", [("a.png", "a.png"), ("a.png", "a.jpg"), ("a.png", "a.PNG"), ("a.png", "a.bary")]
)
def test_parts_that_would_have_one_name_are_a_failure(names, tmp_path, corpus):
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in (*names, "b.png"):
            member, data = a_member(name)
            tar.addfile(member, io.BytesIO(data))
    run = corpus.run(tmp_path / "in.tar", size=10)
    assert list(corpus.members()) == ["b.bary"]
    assert "one name" in run.failures()[0].reason


@pytest.mark.parametrize("size", [1, 10])
def test_a_sample_in_two_places_of_a_tar_is_told(size, tmp_path, corpus):
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in ("a.png", "b.png", "a.jpg", "c.png"):
            member, data = a_member(name)
            tar.addfile(member, io.BytesIO(data))
    run = corpus.run(tmp_path / "in.tar", size=size)
    assert list(corpus.members()) == ["a.bary", "b.bary"]
    assert "twice" in run.failures()[0].reason


def header(name, size, kind=b"0"):
    """A tar header whose size is any signed number."""
    member = tarfile.TarInfo(name)
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (size % 2**96).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("size", [-512, -1024, -(2**60), 2**40, 2**62])
@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"K", b"S"])
def test_sizes_that_lie_cost_nothing(size, kind, tmp_path, corpus):
    (tmp_path / "in.tar").write_bytes(header("a.png", 0) + header("b.png", size, kind) + bytes(1024))
    write_tar(tmp_path / "other.tar", {"good.png": b"x"})
    run = corpus.run(tmp_path / "in.tar", tmp_path / "other.tar", size=10)
    assert "good.bary" in corpus.members()
    assert run.failures()


def test_a_sparse_member_is_not_read_as_what_it_is_not(tmp_path, corpus):
    (tmp_path / "in.tar").write_bytes(header("a.png", 0, b"S") + bytes(1024))
    run = corpus.run(tmp_path / "in.tar", size=10)
    assert "sparse" in run.failures()[0].reason


def test_files_of_one_key_come_into_one_portion():
    paths = {
        f"/in/{name}": "" for name in ("a.jpg", "b.c.jpg", "d.jpg", "a.png", "b.c.png", "b_c.webp", "e.jpg")
    }
    portions = list(cut_files(paths, 2))
    assert sorted(path for portion in portions for path in portion.paths) == sorted(paths)
    assert [len(portion.paths) for portion in portions] == [2, 3, 2]
    keys = [sample.key for portion in portions for sample in read_files(portion)]
    assert keys == ["a", "a-png", "b_c", "b_c-png", "b_c-webp", "d", "e"]


def test_tables_of_one_name_in_several_folders_have_keys_of_their_own(tmp_path, corpus):
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder / "0000.parquet", {"image": [b"x"]})
    corpus.run(tmp_path / "train", tmp_path / "test")
    assert sorted(corpus.members()) == ["test/0000-000000000.bary", "train/0000-000000000.bary"]


def test_a_column_that_holds_no_files_is_refused(tmp_path):
    path = str(tmp_path / "t.parquet")
    write_table(path, {"image": [b"1"], "path": ["a.png"]})
    with pytest.raises(InvalidInputError, match=r"The column 'path' of .* holds string, expected bytes"):
        list(cut_table(path, "", 10, "path"))


def test_what_is_left_alone_in_folders_is_counted(tmp_path):
    touch(tmp_path, "in/a.png", "in/b.tgz", "in/c/d.TXT", "in/e", "out/shard-000000.json")
    listing = list_inputs([str(tmp_path)], PICTURES, tmp_path / "out")
    assert listing.others == {".tgz": 1, ".txt": 1, "": 1}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.TAR.ZST"])
def test_compressed_tars_are_refused_by_name(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(InvalidInputError, match="is a compressed tar"):
        listed(tmp_path, tmp_path / name)


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.png\r\n", encoding="utf-8-sig")
    assert listed(tmp_path, tmp_path / "list.txt") == ["a.png"]
