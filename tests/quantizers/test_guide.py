"""The guides tell the truth: their snippets run in order, and their shapes hold."""

import pytest
import torch

from guides import run_first_snippet, run_snippets


@pytest.mark.parametrize("seed", range(3))
def test_the_first_snippet_of_the_guide_ends_above_half_of_its_codebook(seed: int):
    torch.manual_seed(seed)
    scope = run_first_snippet("quantizers.md")
    assert scope["health"].perplexity > 128
    assert scope["vq"].codebook_size == 256


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers:UserWarning")  # Lightning's own
def test_snippets_of_the_quantizer_guide():
    scope = run_snippets("quantizers.md", 17)
    schedule, layer = scope["schedule"], scope["layer"]
    assert schedule.steps == 20
    assert schedule.value != 1.0
    assert layer(torch.randn(2, 64, 8, 8)).indices.shape == (2, 8, 8)


def test_snippets_of_the_guide_to_convex_codes():
    scope = run_snippets("scq.md", 12)
    assert scope["code"].bits(64) == pytest.approx(12.0)
    assert scope["indices"].shape == (400, 3)
    assert scope["scq"].hardness == 1
    for program in ("exact", "relaxed", "continuous"):
        assert scope[program](scope["vectors"]).quantized.shape == (400, 16)
