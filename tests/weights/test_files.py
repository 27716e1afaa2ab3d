import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from barycode.errors import BarycodeError, CorruptFileError, UnsupportedFileError
from barycode.weights import Lossless, Step, compress_to, decompress
from barycode.weights.checkpoints.files import open_source
from weights.networks import network, same


@pytest.fixture
def folder(tmp_path):
    """net.safetensors with metadata, the same in two shards, and net.pt with tied weights."""
    tensors = network() | {"flag": torch.tensor([True, False, True]), "half": torch.randn(3, 5).bfloat16()}
    save_file(tensors, tmp_path / "net.safetensors", metadata={"format": "pt", "author": "é"})
    names = list(tensors)
    shards = {"a.safetensors": names[:4], "b.safetensors": names[4:]}
    for file, inside in shards.items():
        save_file({name: tensors[name] for name in inside}, tmp_path / file)
    index = {"weight_map": {name: file for file, inside in shards.items() for name in inside}}
    (tmp_path / "sharded.safetensors.index.json").write_text(json.dumps(index))
    torch.save(tensors | {"tied": tensors["linear.weight"]}, tmp_path / "net.pt")
    torch_shards = {"m-1.bin": names[:4], "m-2.bin": [*names[4:], "tied"]}
    of = tensors | {"tied": tensors["linear.weight"]}
    for file, inside in torch_shards.items():
        torch.save({name: of[name] for name in inside}, tmp_path / file)
    index = {"weight_map": {name: file for file, inside in torch_shards.items() for name in inside}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return tmp_path


def packed(path, target):
    out = path.parent / "out.bary"
    with out.open("w+b") as stream:
        compress_to(stream, open_source(path), target)
    return decompress(out.read_bytes())


WHOLE = ["net.safetensors", "sharded.safetensors.index.json", "net.pt", "pytorch_model.bin.index.json"]


@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_of_file_is_read(folder, name):
    after, before = packed(folder / name, Lossless()), load_file(folder / "net.safetensors")
    assert all(same(after[key], before[key]) for key in before)
    if name in ("net.pt", "pytorch_model.bin.index.json"):
        assert after["tied"] is after["linear.weight"]


def test_there_and_back_on_the_command_line(folder, run):
    source, small = folder / "net.safetensors", folder / "net.bary"
    assert "lossless" in run("compress", source, "--lossless").out
    assert run("decompress", small, "-o", folder / "back.safetensors").code == 0
    with safe_open(source, "pt") as before, safe_open(folder / "back.safetensors", "pt") as after:
        assert after.metadata() == before.metadata()
        assert after.offset_keys() == before.offset_keys()
        assert all(same(after.get_tensor(name), before.get_tensor(name)) for name in before.keys())  # noqa: SIM118
    assert run("decompress", small, "-o", folder / "back.pt").code == 0
    assert torch.load(folder / "back.pt", weights_only=True).keys() == load_file(source).keys()
    (folder / "net.safetensors").unlink()
    assert run("decompress", small).code == 0
    assert source.exists()


def test_targets_on_the_command_line(folder, run):
    source, small = folder / "net.safetensors", folder / "net.bary"
    before = load_file(source)
    entries = sum(tensor.numel() for tensor in before.values())
    assert run("compress", source, "--bits-per-weight", "6").code == 0
    assert 8 * small.stat().st_size <= 6 * entries
    assert run("compress", source, "--size", "5000", "-f").code == 0
    assert small.stat().st_size <= 5000
    assert run("compress", source, "--relative-error", "0.02", "-f").code == 0
    by_default = small.read_bytes()
    assert run("compress", source, "-f").code == 0
    assert small.read_bytes() == by_default
    assert run("compress", source, "--max-error", "0.01", "--keep", "linear.*", "-f").code == 0
    after = decompress(small.read_bytes())
    assert same(after["linear.weight"], before["linear.weight"])
    assert all((after[name].double() - before[name].double()).abs().max() <= 0.01 for name in before)
    outcome = run("compress", source, "--lossless", "--size", "5000", "-f")
    assert outcome.code == 1
    assert "Give one of" in outcome.err


def test_info_shows_bits_of_every_tensor(folder, run):
    run("compress", folder / "net.safetensors", "--max-error", "0.01")
    assert "more than the limit of 1,000" in run("info", folder / "net.bary", "--limit", "1kB").err
    shown = run("info", folder / "net.bary").out
    assert "10 tensors" in shown
    for word in ("conv1.weight", "24x16x3x3", "uniform grid", "bfloat16", "PART"):
        assert word in shown


def test_a_pickle_that_would_run_code_does_not(folder, run):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"weight": Evil()}, folder / "evil.pt")
    outcome = run("compress", folder / "evil.pt")
    assert outcome.code == 1
    assert "weights_only" in outcome.err
    assert "run\n" not in outcome.out


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("short.safetensors", b"\1", CorruptFileError),
        ("claims.safetensors", struct.pack("<Q", 2**40) + b"{}", CorruptFileError),
        ("junk.pt", b"junk", UnsupportedFileError),
        ("x.safetensors.index.json", b"[]", CorruptFileError),
        ("p.bin.index.json", b'{"weight_map": {"a": "gone.bin"}}', CorruptFileError),
        ("q.bin.index.json", b'{"weight_map": {"a": "m-1.bin", "b": "m-1.bin"}}', CorruptFileError),
        ("r.bin.index.json", b'{"weight_map": {"a": "r.bin.index.json"}}', UnsupportedFileError),
        ("y.safetensors.index.json", b'{"weight_map": {"a": "../a.safetensors"}}', CorruptFileError),
        ("0.safetensors.index.json", b'{"weight_map": {}}', CorruptFileError),
        ("z.safetensors.index.json", b'{"weight_map": {"a": "gone.safetensors"}}', BarycodeError),
    ],
)
def test_bad_files(tmp_path, name, content, error):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        open_source(tmp_path / name)


def test_other_contents_of_a_pytorch_file(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(3)}}, tmp_path / "wrapped.pt")
    assert packed(tmp_path / "wrapped.pt", Step(0.1))["w"].tolist() == [1, 1, 1]
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UnsupportedFileError, match="state dict"):
        open_source(tmp_path / "list.pt")


def test_numbers_that_safetensors_lacks_go_to_pytorch_files(tmp_path, run):
    torch.save({"w": torch.ones(3, dtype=torch.complex128)}, tmp_path / "c.pt")
    assert run("compress", tmp_path / "c.pt").code == 0
    assert "decompress to a .pt file" in run("decompress", tmp_path / "c.bary").err
    assert run("decompress", tmp_path / "c.bary", "-o", tmp_path / "d.pt").code == 0


def test_empty_tensors_and_every_dtype_of_safetensors_files(tmp_path):
    tensors = {str(dtype): torch.arange(6).to(dtype) for dtype in (torch.int8, torch.float16, torch.bool)}
    tensors |= {"empty": torch.zeros(0, 4), "scalar": torch.tensor(3.5, dtype=torch.float64)}
    save_file(tensors, tmp_path / "net.safetensors")
    source = open_source(tmp_path / "net.safetensors")
    assert all(same(source.load(name), tensor) for name, tensor in tensors.items())


@pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="a type of newer PyTorch")
def test_numbers_of_half_a_byte(tmp_path, run):
    pairs = torch.arange(48, dtype=torch.uint8).reshape(6, 8).view(torch.float4_e2m1fn_x2)
    save_file({"packed": pairs, "scale": torch.randn(6)}, tmp_path / "a.safetensors")
    assert run("compress", tmp_path / "a.safetensors", "--lossless").code == 0
    assert run("decompress", tmp_path / "a.bary", "-o", tmp_path / "b.safetensors").code == 0
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.get_slice("packed").get_shape() == [6, 16]
        assert same(file.get_tensor("packed"), pairs)


def test_metadata_keep_their_order(tmp_path):
    texts = {f"key {number * 7 % 31}": str(number) for number in range(31)}
    header = json.dumps({"__metadata__": texts}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert list(open_source(tmp_path / "a.safetensors").directory.metadata.items()) == list(texts.items())


def test_a_type_that_pytorch_lacks_is_named(tmp_path):
    header = b'{"a": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(3))
    with pytest.raises(UnsupportedFileError, match=r"'a' .*F6_E2M3.*uint8"):
        open_source(tmp_path / "a.safetensors")


def test_a_file_that_shrinks_while_it_is_read(folder):
    path = folder / "net.safetensors"
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFileError, match="shorter"):
        source.load(source.directory.entries[-1].name)


def test_a_state_dict_with_something_else_in_it(tmp_path):
    torch.save(network() | {"step": 5, "name": "x"}, tmp_path / "net.pt")
    source = open_source(tmp_path / "net.pt")
    assert source.left_out == ("step", "name")
    assert {entry.name for entry in source.directory.entries} == set(network())
