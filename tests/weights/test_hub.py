"""Networks to a folder or to a hub, and back: the mixin of huggingface_hub, without a network."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from barycode.errors import InvalidInputError, MissingDataError
from barycode.weights import Lossless
from barycode.weights import open as open_network

pytest.importorskip("huggingface_hub")

import huggingface_hub.hub_mixin

from barycode.weights import hub


class Net(nn.Module, hub.BaryHubMixin):
    def __init__(self, width: int = 8, *, tied: bool = False) -> None:
        super().__init__()
        self.one = nn.Linear(32, width)
        self.two = nn.Linear(width, 32)
        if tied:
            self.two.weight = nn.Parameter(self.two.weight.detach())
            self.again = self.two

    def forward(self, x):
        return self.two(self.one(x).relu())


class Exact(Net):
    target = Lossless()


def close(one, other):
    return all(
        (value - other.state_dict()[name]).norm() <= 0.05 * value.norm() + 1e-6
        for name, value in one.state_dict().items()
    )


@pytest.mark.parametrize("kind", [Net, Exact])
@pytest.mark.parametrize("tied", [False, True])
def test_a_folder_and_back(kind, tied, tmp_path):
    network = kind(width=48, tied=tied)
    network.save_pretrained(tmp_path / "net")
    names = {path.name for path in (tmp_path / "net").iterdir()}
    assert names == {"model.bary", "config.json", "README.md"}
    assert json.loads((tmp_path / "net" / "config.json").read_text()) == {"width": 48, "tied": tied}
    assert "library_name: barycode" in (tmp_path / "net" / "README.md").read_text()
    again = kind.from_pretrained(tmp_path / "net")
    assert not again.training
    assert close(network, again)
    if kind is Exact:
        assert all(torch.equal(value, again.state_dict()[n]) for n, value in network.state_dict().items())
    network.save_pretrained(tmp_path / "net")  # over the one before
    assert close(network, kind.from_pretrained(str(tmp_path / "net")))


def test_the_file_is_one_like_all_others(tmp_path):
    Exact().save_pretrained(tmp_path)
    with open_network(tmp_path / "model.bary") as file:
        assert file.keys() == list(Exact().state_dict())


def test_what_is_not_there_or_of_another_shape(tmp_path):
    with pytest.raises(MissingDataError, match=r"no model\.bary"):
        Net.from_pretrained(tmp_path)
    Exact(width=16).save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="shape"):
        Exact.from_pretrained(tmp_path, width=24)


def test_pushed_and_fetched_again(tmp_path, monkeypatch):
    """A hub that is a folder."""
    calls = []

    class Hub:
        def __init__(self, **_):
            pass

        def create_repo(self, repo_id, **_):
            calls.append(repo_id)
            return SimpleNamespace(repo_id=repo_id)

        def upload_folder(self, *, repo_id, folder_path, **_):
            shutil.copytree(folder_path, tmp_path / repo_id)
            return "done"

    def download(repo_id, filename, **_):
        return str(tmp_path / repo_id / filename)

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub.hub_mixin, "hf_hub_download", download)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.chdir(Path(Path()))
    network = Exact(width=12)
    network.push_to_hub("someone/net")
    assert calls == ["someone/net"]
    monkeypatch.chdir("/")
    again = Exact.from_pretrained("someone/net")
    assert again.one.out_features == 12
    assert torch.equal(again.one.weight, network.one.weight)
