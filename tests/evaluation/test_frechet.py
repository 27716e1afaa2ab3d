import numpy as np
import pytest
import scipy.linalg
import torch

from barycode.errors import InvalidInputError
from barycode.evaluation.frechet import frechet_distance


def by_the_matrix_root(x, y):
    s, t = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    difference = (x.mean(0) - y.mean(0)).numpy()
    return difference @ difference + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real)


def test_against_the_matrix_square_root():
    torch.manual_seed(0)
    mix = torch.randn(5, 5, dtype=torch.float64)
    x, y = torch.randn(200, 5, dtype=torch.float64) @ mix, torch.randn(300, 5, dtype=torch.float64) + 0.3
    assert frechet_distance(x, y) == pytest.approx(by_the_matrix_root(x, y), rel=1e-9)


def test_zero_for_the_same_set_and_the_shift_otherwise():
    x = torch.randn(50, 3)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + torch.tensor([3.0, 0, 4])) == pytest.approx(25, rel=1e-5)


def test_features_that_never_vary():
    x = torch.ones(4, 2)
    assert frechet_distance(x, 3 * x) == pytest.approx(8)
    assert frechet_distance(x[:, :1], 3 * x[:, :1]) == pytest.approx(4)


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((0, 3), (5, 3))])
def test_sets_that_do_not_fit(shapes):
    with pytest.raises(InvalidInputError, match="at least two rows"):
        frechet_distance(*(torch.zeros(shape) for shape in shapes))
