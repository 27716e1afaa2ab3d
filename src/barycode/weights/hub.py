"""Compressed networks on the Hugging Face Hub: `save_pretrained`, `push_to_hub`, `from_pretrained`.

Needs the package huggingface_hub: pip install 'barycode[hub]'.
"""

from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from barycode.container import EXTENSION
from barycode.container.atomic import replacing
from barycode.errors import MissingDataError
from barycode.weights.checkpoints.sources import StateDict
from barycode.weights.codec import DEFAULT_TARGET, compress_to
from barycode.weights.loading import load_into
from barycode.weights.request.targets import Target

try:
    from huggingface_hub import ModelHubMixin, hf_hub_download
except ImportError as error:
    raise MissingDataError(
        "barycode.weights.hub needs the package huggingface_hub: pip install 'barycode[hub]'."
    ) from error

WEIGHTS = f"model{EXTENSION}"  # as `barycode compress FOLDER` calls it


class BaryHubMixin(ModelHubMixin, library_name="barycode", tags=["barycode"]):
    """A base beside `nn.Module`, as `PyTorchModelHubMixin` is, whose weights are in `model.bary`.

    `target` says how they are compressed. `save_pretrained(folder)` writes them with the arguments of
    `__init__` (config.json) and a model card, `push_to_hub(name)` uploads that, and `from_pretrained` of a
    folder or a name makes the network anew, in evaluation mode, and fills it block by block. Errors are those
    of `compress` and `load_into`, and MissingDataError for a folder without weights.
    """

    target: ClassVar[Target] = DEFAULT_TARGET

    def _save_pretrained(self, save_directory: Path) -> None:
        assert isinstance(self, nn.Module)
        with replacing(save_directory / WEIGHTS, force=True) as path, path.open("w+b") as file:
            compress_to(file, StateDict(self.state_dict()), self.target)

    @classmethod
    def _from_pretrained(  # noqa: PLR0913 (those that the mixin passes)
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        map_location: str = "cpu",
        strict: bool = True,
        **model_kwargs: Any,
    ) -> Self:
        file = Path(model_id, WEIGHTS)
        if not Path(model_id).is_dir():
            found = hf_hub_download(
                model_id,
                WEIGHTS,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
            file = Path(found)
        if not file.is_file():
            raise MissingDataError(f"{model_id} has no {WEIGHTS}: write it with save_pretrained.")
        model = cls(**model_kwargs)
        assert isinstance(model, nn.Module)
        model.to(map_location)
        load_into(model, file, strict=strict)
        model.eval()
        return model
