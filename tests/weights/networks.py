"""Small state dicts that look like real ones."""

import torch


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Convolutions, a linear layer, batch-norm, an embedding, a counter; heavy tails, unequal rows."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        rows = torch.randn(shape[0], generator=generator).mul(0.5).exp()
        tails = (
            torch.randn(shape, generator=generator) * torch.randn(shape, generator=generator).mul(0.4).exp()
        )
        return (0.05 * tails * rows.reshape(-1, *[1] * (len(shape) - 1))).to(dtype)

    return {
        "conv1.weight": draw(8, 3, 3, 3),
        "bn1.weight": draw(8).abs() + 0.5,
        "bn1.running_var": draw(8).abs() * 30,
        "bn1.num_batches_tracked": torch.tensor(391),
        "conv2.weight": draw(24, 16, 3, 3),
        "embedding.weight": draw(40, 32),
        "linear.weight": draw(10, 96),
        "linear.bias": draw(10),
    }


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Every bit, and the form."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    one, other = (t.contiguous().flatten().view(torch.uint8) for t in (one, other))
    return torch.equal(one, other)
