import numpy as np
import torch

from barycode.training.images.coded import Batch, CodedBatch
from barycode.training.images.replay import Replay


def coded(value: int, count: int = 2) -> CodedBatch:
    pixels = torch.full((count, 3, 8, 16), float(value))
    codes = torch.full((count, 192, 1, 2), value / 8)
    return CodedBatch(Batch(pixels, torch.full((count,), value + 0.5)), codes, torch.ones(count, 1, 1, 2))


def test_what_is_drawn_was_added_and_belongs_together():
    replay = Replay(np.random.default_rng(0), capacity=8)
    for value in range(3):
        replay.add(coded(value))
    drawn = replay.draw(20)
    values = drawn.batch.pixels[:, 0, 0, 0]
    assert set(values.tolist()) == {0.0, 1.0, 2.0}
    assert torch.equal(drawn.batch.step, values + 0.5)
    assert torch.equal(drawn.codes[:, 5, 0, 1], values / 8)


def test_no_more_than_its_capacity_is_kept():
    replay = Replay(np.random.default_rng(0), capacity=5)
    for value in range(10):
        replay.add(coded(value))
    assert len(replay) == 5
    assert replay.draw(50).batch.pixels.amax() > 4
