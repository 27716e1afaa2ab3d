"""One tensor, some rows, a whole module out of a file: the same as decompressing all of it."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from barycode import weights
from barycode.errors import BarycodeError, CorruptFileError, InvalidInputError, LimitError
from barycode.weights import Cluster, Lossless, RelativeError, Rule, compress, decompress
from barycode.weights.file_format import blocks, parts
from weights.networks import network, same

CUT = 700  # entries of a part, so that small networks have several


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(blocks, "PART_ENTRIES", CUT)


@pytest.fixture
def state():
    """Blocks of rows, and of rows within rows (wide), a codebook of its own, a tie, an empty tensor."""
    torch.manual_seed(0)
    tied = torch.randn(40, 30)
    return network() | {
        "wide": torch.randn(3, 4, 5, 200).bfloat16(),
        "empty": torch.zeros(0, 7),
        "clustered": torch.randn(50, 40),
        "tied": tied,
        "whole": torch.arange(-600, 600).reshape(2, 600),
        "other name": tied,
        "flag": torch.tensor(True),
    }


RULES = (Rule("clustered", Cluster(8), "asked"), *weights.DEFAULT_RULES)


@pytest.fixture(params=[Lossless(), RelativeError(0.05)], ids=["lossless", "lossy"])
def path(request, state, tmp_path):
    rules = {} if request.param == Lossless() else {"rules": RULES}
    (tmp_path / "a.bary").write_bytes(compress(state, request.param, metadata={"format": "pt"}, **rules))
    return tmp_path / "a.bary"


@pytest.fixture
def opened(path):
    with weights.open(path) as file:
        yield file, decompress(path.read_bytes())


def test_tensors_in_any_order_are_those_of_the_whole(path, state):
    whole = decompress(path.read_bytes())
    with weights.open(path) as file:
        assert file.keys() == list(file) == list(state)
        assert len(file) == len(state)
        assert file.metadata() == {"format": "pt"}
        for name in reversed(file.keys()):
            assert same(file.get_tensor(name), whole[name])
    loaded = weights.load(path)
    assert list(loaded) == list(state)
    assert all(same(loaded[name], whole[name]) for name in whole)
    assert loaded["tied"] is loaded["other name"]


NUMBERS = st.integers(-50, 50)
RANGES = st.builds(slice, NUMBERS | st.none(), NUMBERS | st.none(), st.integers(1, 7) | st.none())
SLICED = ["wide", "empty", "clustered", "whole", "other name", "linear.weight", "flag"]


@given(st.sampled_from(SLICED), st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slices_are_those_of_the_tensor(opened, state, name, data):
    file, whole = opened
    extents = state[name].shape
    assert file.get_slice(name).get_shape() == list(extents)
    assert file.get_slice(name).get_dtype() == state[name].dtype
    rows = [st.integers(-extents[0], extents[0] - 1)] if extents and extents[0] else []
    several = [st.tuples(*[RANGES] * len(extents)), RANGES] if extents else []
    index = data.draw(st.one_of(st.just(...), *rows, *several))
    assert same(file.get_slice(name)[index], whole[name][index])


def test_only_the_parts_of_what_is_asked_are_decoded(path, state, monkeypatch):
    decoded = []
    original = parts.Parts.decode
    monkeypatch.setattr(
        parts.Parts, "decode", lambda self, part: decoded.append(part) or original(self, part)
    )
    with weights.open(path) as file:
        rows = file.get_slice("clustered")[20:22]
        assert rows.shape == (2, 40)
        assert len(decoded) == 1
        file.get_slice("clustered")[20]
        assert len(decoded) == 1


def test_types_and_devices(path, state):
    with weights.open(path, dtype=torch.float16) as file:
        for name, tensor in state.items():
            expected = torch.float16 if tensor.is_floating_point() else tensor.dtype
            assert file.get_tensor(name).dtype == expected
    assert all(tensor.is_meta for tensor in weights.load(path, device="meta").values())


def test_what_is_not_there_is_named(path, tmp_path):
    with weights.open(path) as file:
        with pytest.raises(InvalidInputError, match="'nothing'"):
            file.get_tensor("nothing")
        with pytest.raises(IndexError, match="conv2"):
            file.get_slice("conv2.weight")[24]
    with pytest.raises(InvalidInputError, match="closed"):
        file.get_tensor("conv2.weight")
    with pytest.raises(LimitError):
        weights.open(path, limit=100)
    with pytest.raises(FileNotFoundError):
        weights.open(tmp_path / "none.bary")


def test_every_change_of_a_byte_is_noticed_or_changes_nothing(path, state):
    """Nothing is decoded from a damaged section; a section that nobody asks for is not read."""
    data, whole = path.read_bytes(), decompress(path.read_bytes())
    for place in range(0, len(data), 397):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            with weights.open(path) as file:
                assert same(file.get_tensor("clustered"), whole["clustered"])
        except BarycodeError:
            continue
    for size in (len(data) - 1, len(data) - 5, len(data) // 2, 7, 0):
        path.write_bytes(data[:size])
        with pytest.raises(CorruptFileError):
            weights.load(path)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 32)
        self.layers = nn.Sequential(nn.Linear(32, 50), nn.BatchNorm1d(50), nn.Linear(50, 32))
        self.head = nn.Linear(32, 40)
        self.head.weight = self.embedding.weight
        self.register_buffer("scratch", torch.zeros(3), persistent=False)


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(1)
    net = Net()
    (tmp_path / "net.bary").write_bytes(compress(net.state_dict(), Lossless()))
    return net


@pytest.mark.parametrize("meta", [False, True])
def test_into_a_module(trained, tmp_path, meta):
    with torch.device("meta" if meta else "cpu"):
        net = Net()
    net.layers[0].weight.requires_grad_(False)
    before = None if meta else net.layers[2].weight
    assert weights.load_into(net, tmp_path / "net.bary") == ([], [])
    after, wanted = net.state_dict(), trained.state_dict()
    assert all(same(after[name], wanted[name]) for name in wanted)
    assert net.head.weight is net.embedding.weight
    assert isinstance(net.head.weight, nn.Parameter)
    assert not net.layers[0].weight.requires_grad
    assert before is None or before is net.layers[2].weight


def test_into_a_module_of_another_type(trained, tmp_path):
    net = Net().bfloat16()
    weights.load_into(net, tmp_path / "net.bary")
    assert same(net.layers[0].weight.data, trained.layers[0].weight.data.bfloat16())


def test_into_a_module_that_is_another(trained, tmp_path):
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(InvalidInputError, match=r"0\.weight.*strict=False"):
        weights.load_into(net, tmp_path / "net.bary")
    missing, unexpected = weights.load_into(net, tmp_path / "net.bary", strict=False)
    assert missing == ["0.weight", "0.bias"]
    assert len(unexpected) == len(trained.state_dict())
    other = Net()
    other.head = nn.Linear(32, 41)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(InvalidInputError, match=r"head\.weight"):
        weights.load_into(other, tmp_path / "net.bary")
    assert all(same(before[name], tensor) for name, tensor in other.state_dict().items())


@pytest.mark.parametrize("meta", [False, True])
def test_batches_that_a_file_did_not_count(tmp_path, meta):
    norm = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    state = {name: tensor + 1 for name, tensor in norm.state_dict().items() if not name.endswith("tracked")}
    (tmp_path / "net.bary").write_bytes(compress(state, Lossless()))
    with torch.device("meta" if meta else "cpu"):
        net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert weights.load_into(net, tmp_path / "net.bary") == ([], [])
    oracle = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    oracle.load_state_dict(state)
    assert all(same(net.state_dict()[name], tensor) for name, tensor in oracle.state_dict().items())


def test_channels_last(tmp_path):
    conv = nn.Conv2d(16, 24, 3)
    (tmp_path / "net.bary").write_bytes(compress(conv.state_dict(), Lossless()))
    other = nn.Conv2d(16, 24, 3).to(memory_format=torch.channels_last)
    weights.load_into(other, tmp_path / "net.bary")
    assert torch.equal(other.weight, conv.weight)
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
