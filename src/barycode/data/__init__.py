"""`.bary` files in a training loop: straight to tensors, under `torch.utils.data` or WebDataset."""

from barycode.data.dataset import BaryDataset, webdataset_decoder
from barycode.data.tensors import picture_codes, pixels

__all__ = ["BaryDataset", "picture_codes", "pixels", "webdataset_decoder"]
