"""docs/finetuning-weights.md tells the truth: its snippets run in order, with the assertions in them."""

import pytest
import torch

from guides import run_snippets


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_snippets():
    scope = run_snippets("finetuning-weights.md", 9)
    zeros = [int((tensor.tensor() == 0).sum()) for tensor in scope["harden"](scope["model"]).values()]
    assert sum(zeros) >= 0.5 * (16 * 128 + 128 * 8)
    module = scope["Module"](scope["network"](), 10)
    assert module.training_step(torch.randn(4, 16)).requires_grad
    assert module.configure_optimizers().param_groups
