"""Inputs: data frames, tensors and columns of vectors, as scikit-learn takes them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal

from skae import AutoEncoderTransformer

FEW = {"max_iter": 1, "early_stopping": False, "random_state": 0}


def polars_frame(X):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])])


def arrow_table(X):
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({f"x{i}": column for i, column in enumerate(X.T)})


def pandas_frame(X):
    return pytest.importorskip("pandas").DataFrame(X).rename(columns=str)


def pandas_nullable(X):
    return pandas_frame(X).astype("Float32" if X.dtype == "f4" else "Float64")


def pandas_arrow(X):
    pytest.importorskip("pyarrow")
    kind = "float32[pyarrow]" if X.dtype == "f4" else "float64[pyarrow]"
    return pandas_frame(X).astype(kind)


def polars_vectors(X):
    polars = pytest.importorskip("polars")
    kind = polars.Float32 if X.dtype == "f4" else polars.Float64
    return polars.Series(X.tolist(), dtype=polars.Array(kind, X.shape[1]))


def pandas_vectors(X):
    return pytest.importorskip("pandas").Series(list(X))


def tensor_with_gradient(X):
    return torch.from_numpy(X.copy()).requires_grad_()


KINDS = [polars_frame, arrow_table, pandas_frame, pandas_nullable, pandas_arrow]
KINDS += [polars_vectors, pandas_vectors, torch.from_numpy, tensor_with_gradient]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_the_same_numbers_in_any_form(kind, dtype, X):
    X = X.astype(dtype)
    expected = AutoEncoderTransformer(**FEW).fit_transform(X)
    model = AutoEncoderTransformer(**FEW).fit(kind(X))
    for given in (kind(X), X):
        Z = model.transform(given)
        assert Z.dtype == dtype
        assert_array_equal(Z, expected)
    assert model.inverse_transform(kind(Z)).dtype == dtype
    assert model.score(kind(X)) == model.score(X)
    model.partial_fit(kind(X))


def test_targets_may_be_tensors(X):
    y = np.arange(len(X)) % 2
    model = AutoEncoderTransformer(supervision=1.0, **FEW)
    expected = model.fit_transform(X, y)
    assert_array_equal(model.fit_transform(X, torch.from_numpy(y)), expected)


def test_vectors_of_several_lengths_are_refused(X):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="shape"):
        AutoEncoderTransformer(**FEW).fit(pandas.Series([X[0], X[1][:3]]))


def test_tensors_come_back_as_tensors_where_scikit_learn_is_told_so():
    """In a process of its own: scipy has to be told before it is imported."""
    if sklearn.__version__.startswith("1.6."):
        pytest.importorskip("array_api_compat")  # which others bring along
    code = """
import numpy as np, sklearn, torch
from skae import AutoEncoderTransformer
X = np.random.RandomState(0).normal(size=(60, 5)).astype("f4")
model = AutoEncoderTransformer(
    init="random", random_state=3, max_iter=1, early_stopping=False
)
expected = model.fit_transform(X)
assert type(model.transform(torch.from_numpy(X))) is np.ndarray
with sklearn.config_context(array_api_dispatch=True):
    Z = model.fit_transform(torch.from_numpy(X))
    back = model.inverse_transform(Z)
    assert isinstance(Z, torch.Tensor) and isinstance(back, torch.Tensor)
    assert Z.dtype == back.dtype == torch.float32 and Z.device.type == "cpu"
    assert isinstance(model.score_samples(torch.from_numpy(X)), torch.Tensor)
    assert isinstance(model.score(torch.from_numpy(X)), float)
    assert type(model.transform(X)) is np.ndarray
assert np.array_equal(Z.numpy(), expected)
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )
