import numpy as np
import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.training.autoencoders.pictures import Batches, load_pictures, split, to_tensor


def test_an_epoch_sees_every_picture_once(pictures):
    batches = Batches(pictures.train, 20, seed=3)
    drawn = torch.cat([batches.draw() for _ in range(3)]).flatten(1)
    expected = to_tensor(pictures.train).flatten(1)
    assert torch.equal(drawn.unique(dim=0), expected.unique(dim=0))


def test_batches_go_on_where_they_stopped(pictures):
    first = Batches(pictures.train, 16, seed=0)
    for _ in range(5):
        first.draw()
    second = Batches(pictures.train, 16, seed=0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.draw(), second.draw())


def test_the_split_holds_out_a_tenth_and_loses_nothing():
    train = np.arange(40, dtype=np.uint8)[:, None, None, None]
    parts = split(train, train)
    assert (len(parts.train), len(parts.held_out)) == (36, 4)
    assert sorted([*parts.train.flatten(), *parts.held_out.flatten()]) == list(range(40))


def test_bad_requests_are_typed_errors(pictures, tmp_path):
    with pytest.raises(InvalidInputError, match="A batch of 61"):
        Batches(pictures.train, 61, seed=0)
    with pytest.raises(InvalidInputError, match="choose from cifar10"):
        load_pictures("cifar100", tmp_path)
