"""Models that DistributedDataParallel wraps already."""

import torch
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, whether DistributedDataParallel wraps it or not."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def wrap_again(wrapper: nn.parallel.DistributedDataParallel) -> None:
    """Let a wrapper learn of parameters that its module has got since.

    It registers hooks with the parameters when it is made, and waits for the gradients of those only; so it
    is made anew, in place, with the settings it has.
    """
    sync = "forward_sync_buffers" if hasattr(wrapper, "forward_sync_buffers") else "broadcast_buffers"
    settings = {
        name: getattr(wrapper, name)
        for name in (
            *("device_ids", "output_device", "dim", "process_group"),
            *("find_unused_parameters", "gradient_as_bucket_view", "static_graph", "mixed_precision", sync),
        )
    }
    training = wrapper.training
    with torch.enable_grad():
        nn.parallel.DistributedDataParallel.__init__(wrapper, wrapper.module, **settings)
    wrapper.training = training
