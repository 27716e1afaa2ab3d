"""Checkpoints of other programs: NumPy archives, ONNX initialisers, GGUF tensors; state dicts by key."""

import io
import json
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from barycode import weights
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError, MissingDataError
from barycode.weights.checkpoints import arrays
from barycode.weights.checkpoints.files import open_source
from weights.networks import network, same


@pytest.fixture
def archive(tmp_path):
    generator = np.random.default_rng(0)
    found = {
        "layer/w": generator.normal(size=(40, 30)).astype(np.float32),
        "fortran": np.asfortranarray(generator.normal(size=(7, 5))),
        "big endian": np.arange(9, dtype=">i4"),
        "flag": np.array(True),
        "empty": np.zeros((0, 3), np.float16),
    }
    np.savez(tmp_path / "a.npz", **found)
    return found


@pytest.mark.parametrize("again", [".npz", ".safetensors"])
def test_npz_there_and_back(archive, tmp_path, run, again):
    assert run("compress", tmp_path / "a.npz", "--lossless").code == 0
    after = weights.load(tmp_path / "a.bary")
    assert list(after) == list(archive)
    assert all(np.array_equal(after[name].numpy(), array) for name, array in archive.items())
    assert run("decompress", tmp_path / "a.bary", "-o", tmp_path / f"b{again}").code == 0
    source = open_source(tmp_path / f"b{again}")
    assert all(same(source.load(name), after[name]) for name in archive)


def test_nothing_of_an_archive_is_left_out_in_silence(tmp_path, run):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("a.npy", "README.txt"):
            stream = io.BytesIO()
            np.save(stream, np.eye(3))
            archive.writestr(name, stream.getvalue())
    assert "left out: README.txt" in run("compress", tmp_path / "a.npz").err
    assert "would lose it (README.txt)" in run("compress", tmp_path / "a.npz", "--lossless", "--force").err
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("a.npy", stream.getvalue())
    assert "Two tensors are called 'a'" in run("compress", tmp_path / "b.npz").err
    assert not (tmp_path / "b.bary").exists()


def test_networks_on_standard_input(tmp_path, run, monkeypatch):
    """Their kind is that of their first bytes, and an error does not name the file that holds them."""
    tensors = {"a": np.eye(9, dtype=np.float32)}
    np.savez(tmp_path / "a.npz", **tensors)
    torch.save({"a": torch.eye(9)}, tmp_path / "a.pt")
    torch.save({"a": torch.eye(9)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file({"a": torch.eye(9)}, tmp_path / "a.safetensors")
    for name in ("a.npz", "a.pt", "old.pt", "a.safetensors"):
        stream = io.TextIOWrapper(io.BytesIO((tmp_path / name).read_bytes()))
        monkeypatch.setattr("sys.stdin", stream)
        assert run("compress", "-", "-o", tmp_path / "a.bary", "--force").code == 0
        assert torch.equal(weights.load(tmp_path / "a.bary")["a"], torch.eye(9))
        half = (tmp_path / name).read_bytes()[:150]
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(half)))
        outcome = run("compress", "-", "-o", tmp_path / "b.bary")
        assert outcome.code == 1
        assert outcome.err.startswith("barycode: standard input")
        assert "/proc" not in outcome.err


def test_json_that_is_no_index(tmp_path, run):
    (tmp_path / "config.json").write_text("{}")
    assert "config.json is no checkpoint: the index" in run("compress", tmp_path / "config.json").err


def test_npz_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    with pytest.raises(BarycodeError, match="'a'"):
        open_source(tmp_path / "a.npz")


def test_npz_that_claims_more_than_it_has(tmp_path):
    header = b"\x93NUMPY\x01\x00"
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 1000), }\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", header + len(text).to_bytes(2, "little") + text + bytes(100))
    with pytest.raises(CorruptFileError, match="'a'"):
        open_source(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(CorruptFileError):
        open_source(tmp_path / "b.npz")


def test_what_numpy_has_no_type_for(tmp_path, run):
    (tmp_path / "a.bary").write_bytes(weights.compress({"w": torch.randn(9).bfloat16()}, weights.Lossless()))
    outcome = run("decompress", tmp_path / "a.bary", "-o", tmp_path / "a.npz")
    assert outcome.code == 1
    assert "'w' is torch.bfloat16" in outcome.err


def test_onnx_initialisers_and_constants(tmp_path, run):
    onnx = pytest.importorskip("onnx")
    inside = {
        "w": np.random.default_rng(0).normal(size=(20, 10)).astype(np.float32),
        "half": np.ones((3, 4), np.float16),
        "axes": np.array([0, 2], np.int64),
    }
    constants = {"paddle": np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)}
    graph = onnx.helper.make_graph(
        [
            *(
                onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array))
                for name, array in constants.items()
            ),
            onnx.helper.make_node("Constant", [], ["whole"], value_ints=[1, 2]),
            onnx.helper.make_node("Constant", [], ["broken"], value_float=0.5),
            onnx.helper.make_node("Relu", ["x"], ["y"]),
        ],
        "net",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in inside.items()],
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    outcome = run("compress", tmp_path / "net.onnx", "--lossless")
    assert outcome.code == 0, outcome.err
    assert "initialisers and constants only" in outcome.err
    after = weights.load(tmp_path / "net.bary")
    numbers = {"whole": np.array([1, 2]), "broken": np.array(0.5, np.float32)}
    assert list(after) == [*inside, *constants, *numbers]
    assert all(np.array_equal(after[name].numpy(), a) for name, a in (inside | constants | numbers).items())
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 50)
    with pytest.raises(CorruptFileError, match="ONNX"):
        open_source(tmp_path / "bad.onnx")


def test_onnx_weights_in_branches_bodies_and_functions(tmp_path, run):
    """As in silero-vad's model, whose graph has one constant of its own."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    arrays = {
        name: np.random.default_rng(i).normal(size=(9, 7)).astype(np.float32) for i, name in enumerate("abcd")
    }
    y = h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [9, 7])

    def branch(array, nodes=()):
        tensors = [onnx.numpy_helper.from_array(array, "w")]
        return h.make_graph([*nodes, h.make_node("Identity", ["w"], ["y"])], "branch", [], [y], tensors)

    inner = h.make_node("If", ["x"], ["z"], then_branch=branch(arrays["a"]), else_branch=branch(arrays["b"]))
    outer = h.make_node(
        "If", ["x"], ["y"], "outer", then_branch=branch(arrays["c"], [inner]), else_branch=branch(arrays["c"])
    )
    x = h.make_tensor_value_info("x", onnx.TensorProto.BOOL, [])
    constant = h.make_node("Constant", [], ["k"], value=onnx.numpy_helper.from_array(arrays["d"]))
    words = h.make_node("Constant", [], ["words"], value_strings=["of no numbers"])
    function = h.make_function("own", "f", [], ["k"], [constant], [h.make_opsetid("", 18)])
    model = h.make_model(h.make_graph([outer, words], "net", [x], [y]), functions=[function])
    onnx.save(model, tmp_path / "net.onnx")
    assert "would lose it (words)" in run("compress", tmp_path / "net.onnx", "--lossless").err
    outcome = run("compress", tmp_path / "net.onnx")
    assert outcome.code == 0, outcome.err
    assert "left out: words." in outcome.err
    after = weights.load(tmp_path / "net.bary")
    then = "graph/outer/then_branch"
    names = {"w": "c", "k": "d", f"{then}/w": "c"}  # nodes have their attributes in alphabetical order
    names |= {f"{then}/If 0/then_branch/w": "a", f"{then}/If 0/else_branch/w": "b"}
    assert after.keys() == names.keys()
    for name, which in names.items():
        assert np.abs(after[name].numpy() - arrays[which]).max() < 0.2


def test_a_program_is_no_state_dict(tmp_path, run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the format, which models still come in
        torch.jit.save(torch.jit.trace(torch.nn.Linear(3, 2), torch.zeros(1, 3)), tmp_path / "net.pt")
    outcome = run("compress", tmp_path / "net.pt")
    assert outcome.code == 1
    assert "is a TorchScript program" in outcome.err
    (tmp_path / "net.pt").rename(tmp_path / "net.jit")
    assert ".jit" in run("compress", tmp_path / "net.jit").err


def test_onnx_models_without_tensors_are_no_networks(tmp_path, run):
    """An empty file is a sound message of no fields."""
    onnx = pytest.importorskip("onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    assert "it has no graph" in run("compress", tmp_path / "empty.onnx").err
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])

    def save(name, tensors, **others):
        graph = onnx.helper.make_graph([node], "g", [], [value], tensors, **others)
        onnx.save(onnx.helper.make_model(graph), tmp_path / name)

    save("nothing.onnx", [])
    assert "neither initialisers nor constants" in run("compress", tmp_path / "nothing.onnx").err
    matrix = onnx.numpy_helper.from_array(np.eye(3), "w")
    save("twice.onnx", [matrix, matrix])
    assert "Two tensors are called 'w'" in run("compress", tmp_path / "twice.onnx").err
    indices = onnx.numpy_helper.from_array(np.array([3]), "i")
    values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "s")
    sparse = onnx.helper.make_sparse_tensor(values, indices, [9])
    save("sparse.onnx", [matrix], sparse_initializer=[sparse])
    assert "would lose it (s)" in run("compress", tmp_path / "sparse.onnx", "--lossless").err
    assert not list(tmp_path.glob("*.bary"))
    assert "left out: s." in run("compress", tmp_path / "sparse.onnx").err


def test_gguf_tensors(tmp_path, run):
    gguf = pytest.importorskip("gguf")
    values = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    writer = gguf.GGUFWriter(tmp_path / "net.gguf", "llama")
    writer.add_tensor("float", values)
    writer.add_tensor("half", values.astype(np.float16))
    writer.add_tensor("blocks", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    outcome = run("compress", tmp_path / "net.gguf", "--lossless")
    assert outcome.code == 0, outcome.err
    with weights.open(tmp_path / "net.bary") as file:
        assert np.array_equal(file.get_tensor("float").numpy(), values)
        assert np.array_equal(file.get_tensor("half").numpy(), values.astype(np.float16))
        assert np.array_equal(file.get_tensor("blocks").numpy(), packed)
        assert json.loads(file.metadata()[arrays.GGUF_TYPES]) == {"blocks": "Q8_0"}


@pytest.mark.parametrize("suffix", [".onnx", ".gguf"])
def test_a_package_that_is_not_there_is_named(tmp_path, suffix, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, suffix[1:], None)
    with pytest.raises(MissingDataError, match=rf"barycode\[{suffix[1:]}\]"):
        open_source(tmp_path / f"a{suffix}")


@pytest.fixture
def checkpoint(tmp_path):
    one, other = network(1), network(2)
    torch.save({"state_dict": one, "callbacks": {"ema.0": {"w": other}}, "epoch": 3}, tmp_path / "a.ckpt")
    return one, other


def test_a_state_dict_by_its_key(checkpoint, tmp_path, run):
    for key, before in (("state_dict", checkpoint[0]), ("callbacks.ema.0.w", checkpoint[1])):
        assert run("compress", tmp_path / "a.ckpt", "--lossless", "--key", key, "-f").code == 0
        after = weights.load(tmp_path / "a.bary")
        assert list(after) == list(before)
        assert all(same(after[name], before[name]) for name in before)


def test_a_key_that_is_not_there(checkpoint, tmp_path):
    for key in ("ema", "callbacks.no", "epoch.more", ""):
        with pytest.raises(InvalidInputError, match=r"nothing under|no state dict under"):
            open_source(tmp_path / "a.ckpt", key=key)
    with pytest.raises(BarycodeError):
        open_source(tmp_path / "a.ckpt", key="epoch")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(InvalidInputError, match="PyTorch"):
        open_source(tmp_path / "a.npz", key="a")
