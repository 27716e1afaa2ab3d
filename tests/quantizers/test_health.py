import math

import pytest
import torch

from barycode.errors import InvalidInputError
from barycode.quantizers import CodebookHealth, DenseAssignment


def test_values_of_a_known_histogram():
    health = CodebookHealth(4)
    health.update(torch.tensor([[0, 0], [1, 3]]))
    assert health.histogram.tolist() == [2, 1, 0, 1]
    assert health.usage == 0.75
    assert math.isclose(health.perplexity, 2**1.5)
    assert health.dead_codes.tolist() == [False, False, True, False]
    assert health.summary() == {
        "usage": 0.75,
        "perplexity": health.perplexity,
        "dead_codes": 1.0,
        "vectors": 4.0,
    }


def test_the_batch_size_does_not_matter():
    indices = torch.randint(0, 50, (1000,), generator=torch.Generator().manual_seed(0))
    perplexities = []
    for size in (1, 7, 1000):
        health = CodebookHealth(64)
        for batch in indices.split(size):
            health.update(batch)
        perplexities.append(health.perplexity)
    assert perplexities[0] == perplexities[1] == perplexities[2]
    assert 40 < perplexities[0] < 50


def test_extremes():
    health = CodebookHealth(5)
    assert (health.usage, health.perplexity) == (0, 0)
    health.update(torch.zeros(10, dtype=torch.int64))
    assert health.perplexity == 1
    health.reset()
    health.update(torch.arange(5))
    assert math.isclose(health.perplexity, 5)


def test_merges_and_resumes():
    first, second = CodebookHealth(3), CodebookHealth(3)
    first.update(torch.tensor([0, 0, 1]))
    second.load_state_dict(first.state_dict())
    second.update(torch.tensor([2]))
    first.merge(second)
    assert first.histogram.tolist() == [4, 2, 1]


def test_counters_move_like_the_rest_but_keep_their_precision():
    health = CodebookHealth(3)
    health.update(torch.tensor([0, 0, 1]))
    for cast in (health.half, health.bfloat16, health.float, lambda: health.to(torch.float16)):
        assert cast().histogram.dtype == torch.float64
        assert health.histogram.tolist() == [2, 1, 0]
    assert health.share_memory().histogram.is_shared()
    assert health.to("meta").histogram.is_meta
    assert health.to_empty(device="cpu").histogram.dtype == torch.float64


def test_an_index_out_of_range_is_a_typed_error():
    with pytest.raises(InvalidInputError, match="reach 3"):
        CodebookHealth(3).update(torch.tensor([0, 3]))
    with pytest.raises(InvalidInputError, match="whole number >= 1"):
        CodebookHealth(0)


def test_weights_add_their_mass():
    """The perplexity of mean weights (3/4, 1/4, 0)."""
    health = CodebookHealth(3)
    health.update_weights(DenseAssignment(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])))
    assert health.histogram.tolist() == [1.5, 0.5, 0]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert math.isclose(health.perplexity, math.exp(entropy))
    assert health.dead_codes.tolist() == [False, False, True]
    assert health.rare_codes(0.9).tolist() == [False, True, True]
    with pytest.raises(InvalidInputError, match="over 2 code vectors"):
        health.update_weights(DenseAssignment(torch.ones(1, 2) / 2))
