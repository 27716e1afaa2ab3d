import numpy as np
import pytest
import torch

from barycode.container import Section, pack, unpack
from barycode.errors import CorruptFileError, InvalidInputError
from barycode.quantizers.codebook.kmeans_1d import kmeans_1d
from barycode.weights import Rule, Step, Vectors, decompress, explain


def _draw(*shape: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _coded(state: dict[str, torch.Tensor], treatment: Vectors):
    return explain(state, Step(1), rules=(Rule("*", treatment, "vectors"),))


@pytest.mark.parametrize("shape", [(40, 30), (7, 5, 3), (1, 1), (13,)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_every_run_is_a_code_vector(shape, dtype):
    compressed = _coded({"w": _draw(*shape).to(dtype)}, Vectors(8, 4))
    after = decompress(compressed.data)["w"]
    assert (after.shape, after.dtype) == (shape, dtype)
    whole = after.flatten()[: after.numel() // 4 * 4].view(-1, 4)
    assert len(whole.unique(dim=0)) <= 8
    assert compressed.report.tensors[0].method == "code vectors"


def test_more_code_vectors_are_closer():
    state = {"w": _draw(100, 40)}
    noise = [_coded(state, Vectors(size, 2)).report.tensors[0].noise for size in (4, 16, 64)]
    assert noise == sorted(noise, reverse=True)
    assert noise[0] > 2 * noise[2]


def test_in_one_dimension_it_is_exact_kmeans():
    weights = _draw(60, 40)
    after = decompress(_coded({"w": weights}, Vectors(5, 1)).data)["w"]
    scale = weights.square().mean().sqrt()
    expected = (kmeans_1d((weights / scale).flatten(), 5).bfloat16().float() * scale).sort().values
    assert torch.allclose(after.unique(), expected, rtol=1e-5)


def test_a_price_saves_bits_and_costs_error():
    state = {"w": _draw(200, 40)}
    free, priced = (_coded(state, Vectors(64, 2, price)).report.tensors[0] for price in (0.0, 0.3))
    assert priced.bits < 0.8 * free.bits
    assert priced.noise > free.noise
    assert priced.noise + 0.3 * priced.bits < free.noise + 0.3 * free.bits


@pytest.mark.parametrize(("shared", "codebooks"), [(True, 1), (False, 2)])
def test_a_shared_codebook_is_stored_once(shared, codebooks):
    state = {"a": _draw(64, 32), "b": _draw(48, 32, scale=0.01, seed=1)}
    compressed = _coded(state, Vectors(16, 2, shared=shared))
    assert len(unpack(compressed.data).all("VECT")) == codebooks
    for outcome in compressed.report.tensors:  # each in its own units
        assert outcome.sqnr > 7


def test_not_finite_and_empty_tensors_are_exact():
    state = {"nan": torch.full((4, 4), torch.nan), "empty": torch.zeros(0, 3), "zeros": torch.zeros(8, 8)}
    after = decompress(_coded(state, Vectors(4, 2, shared=True)).data)
    assert bool(after["nan"].isnan().all())
    assert after["empty"].shape == (0, 3)
    assert not after["zeros"].any()


def test_bad_numbers_are_refused():
    for bad in ((1, 4), (5000, 4), (4, 0), (4, 65), (4, 2, -1.0), (4, 2, float("nan"))):
        with pytest.raises(InvalidInputError):
            Vectors(*bad)


def test_a_codebook_of_another_form_is_damage():
    data = _coded({"w": _draw(40, 30)}, Vectors(8, 4)).data
    sections = list(unpack(data).sections)
    place = next(i for i, section in enumerate(sections) if section.tag == "VECT")
    wrong = bytes([7, 1]) + np.zeros(16, "<u2").tobytes()
    sections[place] = Section("VECT", wrong)
    with pytest.raises(CorruptFileError, match="no codebook of its kind"):
        decompress(pack("wght", sections))
    sections[place] = Section("VECT", bytes([0, 0]) + np.array([0x7F80], "<u2").tobytes())
    with pytest.raises(CorruptFileError, match="not finite"):
        decompress(pack("wght", sections))
