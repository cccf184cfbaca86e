"""Inputs: data frames, tensors and columns of vectors, as scikit-learn takes them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

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


def frame_of_vectors(X):
    return pytest.importorskip("pandas").DataFrame({"embedding": list(X)})


def polars_frame_of_vectors(X):
    return pytest.importorskip("polars").DataFrame({"embedding": polars_vectors(X)})


def polars_lists(X):
    polars = pytest.importorskip("polars")
    kind = polars.Float32 if X.dtype == "f4" else polars.Float64
    return polars.Series(X.tolist(), dtype=polars.List(kind))


def arrow_vectors(X):
    arrow = pytest.importorskip("pyarrow")
    return arrow.FixedSizeListArray.from_arrays(arrow.array(X.ravel()), X.shape[1])


def arrow_chunks(X):
    arrow = pytest.importorskip("pyarrow")
    return arrow.chunked_array([arrow_vectors(X[:30]), arrow_vectors(X[30:])])


def arrow_table_of_vectors(X):
    return pytest.importorskip("pyarrow").table({"embedding": arrow_chunks(X)})


def pandas_arrow_vectors(X):
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    kind = pandas.ArrowDtype(arrow.list_(arrow.from_numpy_dtype(X.dtype)))
    return pandas.DataFrame({"embedding": pandas.Series(X.tolist(), dtype=kind)})


def object_vectors(X):
    vectors = np.empty(len(X), object)
    vectors[:] = list(X)
    return vectors


def object_column(X):
    return object_vectors(X)[:, None]


def list_of_tensors(X):
    return [torch.from_numpy(row.copy()).requires_grad_() for row in X]


def tensor_with_gradient(X):
    return torch.from_numpy(X.copy()).requires_grad_()


KINDS = [polars_frame, arrow_table, pandas_frame, pandas_nullable, pandas_arrow]
KINDS += [polars_vectors, pandas_vectors, torch.from_numpy, tensor_with_gradient]
KINDS += [frame_of_vectors, polars_frame_of_vectors, polars_lists, arrow_vectors]
KINDS += [arrow_chunks, arrow_table_of_vectors, pandas_arrow_vectors, object_vectors]
KINDS += [object_column, list_of_tensors]


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
    for rows in (object_vectors([X[0], X[1][:3]]), object_vectors([None, X[0]])):
        with pytest.raises(ValueError, match=r"X holds vectors, but row . is of shape"):
            AutoEncoderTransformer(**FEW).fit(rows)


def pandas_mixed(X):
    frame = pandas_frame(X)
    return frame.assign(other=list(X)), frame.assign(other="text")


def polars_mixed(X):
    polars, frame = pytest.importorskip("polars"), polars_frame(X)
    texts = polars.lit("text").alias("other")
    vectors = polars_vectors(X).alias("other")
    return frame.with_columns(vectors), frame.with_columns(texts)


def arrow_mixed(X):
    dataset = arrow_table(X)
    vectors, texts = arrow_vectors(X), ["text"] * len(X)
    return dataset.append_column("other", vectors), dataset.append_column(
        "other", [texts]
    )


@pytest.mark.parametrize("mixed", [pandas_mixed, polars_mixed, arrow_mixed])
def test_the_column_that_is_not_numbers_is_named(mixed, X):
    vectors, texts = mixed(X)
    with pytest.raises(ValueError, match=r"'other' of X.* holds vectors.*X\['other'\]"):
        AutoEncoderTransformer(**FEW).fit(vectors)
    with pytest.raises(ValueError, match="'other' of X.* numbers.*Encode it"):
        AutoEncoderTransformer(**FEW).fit(texts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.datetime64("2020-01-01", "s"), "holds times. Make numbers of it"),
        (np.timedelta64(1, "s"), "holds times"),
        (1j, "complex"),
        ({"a": 1}, "not made of numbers: .*'dict'"),
        ("category", "of dtype category, holds categories. Encode it.*OneHotEncoder"),
        ("period", "holds times"),
    ],
)
def test_columns_of_other_kinds_are_named(values, message, X):
    pandas = pytest.importorskip("pandas")
    if isinstance(values, dict):
        values = [values] * len(X)
    elif isinstance(values, str) and values == "period":
        values = pandas.period_range("2020", periods=len(X), freq="D")
    elif isinstance(values, str):
        values = pandas.Categorical(["x"] * len(X))
    frame = pandas_frame(X).assign(other=values)
    with pytest.raises((TypeError, ValueError), match=f"'other' of X.*{message}"):
        AutoEncoderTransformer(**FEW).fit(frame)
    with pytest.raises((TypeError, ValueError), match=f"Column 'other' .*{message}"):
        AutoEncoderTransformer(**FEW).partial_fit(frame)


def _pandas_categories(values):
    return (
        pytest.importorskip("pandas")
        .DataFrame({"a": values, "b": values})
        .astype({"b": "category"})
    )


def _polars_categories(values):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": values, "b": list(map(str, values))})
    return frame.with_columns(pl.col("b").cast(pl.Categorical))


def _arrow_categories(values):
    pa = pytest.importorskip("pyarrow")
    return pa.table({"a": values, "b": pa.array(values).dictionary_encode()})


def _pandas_times(values):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"b": pandas.to_datetime(values, unit="D")})


def _polars_times(values):
    pl = pytest.importorskip("polars")
    return pl.DataFrame({"b": values}).select(pl.col("b").cast(pl.Date))


def _arrow_times(values):
    pa = pytest.importorskip("pyarrow")
    return pa.table({"a": values, "b": pa.array(values).cast(pa.timestamp("s"))})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_pandas_categories, "'b' of X.* holds categories.*OneHotEncoder"),
        (_polars_categories, "'b' of X.* holds categories"),
        (_arrow_categories, "'b' of X.* holds categories"),
        (_pandas_times, "'b' of X.* holds times"),
        (_polars_times, "'b' of X.* holds times"),
        (_arrow_times, "'b' of X.* holds times"),
        (lambda v: np.array([v, v], "M8[D]").T, "Column 0 of X.* holds times"),
        (lambda v: np.array([v, v], "m8[D]").T, "Column 0 of X.* holds times"),
        (lambda v: np.array([v, v]).T * [1, 1j], "Column 1 of X.*complex128.* complex"),
        (lambda v: (np.array([v, v]).T * [1, 1j]).astype(object), "Column 1 .*complex"),
        (lambda v: (np.array([v, v]).T * [1, 1j]).tolist(), "Column 1 of X.* complex"),
        (lambda v: csr_array(np.array([v, v]).T * [1, 1j]), "Column 1 of X.* complex"),
        (
            lambda v: torch.tensor([v, v]).T * torch.tensor([1, 1j]),
            "Column 1 .*complex",
        ),
    ],
)
def test_what_conversions_would_make_numbers_of_is_named(make, message):
    """Codes of categories, nanoseconds, real parts."""
    X = make(list(range(1, 31)))
    with pytest.raises((TypeError, ValueError), match=message):
        AutoEncoderTransformer(**FEW).fit(X)
    fitted = AutoEncoderTransformer(1, max_iter=2).fit(np.eye(30)[:, :2])
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.transform(X)


def test_columns_of_arrays_are_named_by_number(X):
    mixed = X.astype(object)
    mixed[3, 2] = "text"
    for rows in (mixed, mixed.tolist()):
        with pytest.raises(ValueError, match="Column 2 of X.*'text'"):
            AutoEncoderTransformer(**FEW).fit(rows)


def test_names_that_are_missing_come_first(X):
    model = AutoEncoderTransformer(**FEW).fit(pandas_frame(X))
    with pytest.raises(ValueError, match="unseen at fit time:\n- other"):
        model.transform(pandas_frame(X).assign(other="text"))


def test_frames_without_rows_yet_are_refused(X):
    with pytest.raises(ValueError, match="LazyFrame.*collect"):
        AutoEncoderTransformer(**FEW).fit(polars_frame(X).lazy())


def pictures_of_polars(pictures):
    polars = pytest.importorskip("polars")
    kind = polars.Array(polars.Float64, pictures.shape[1:])
    return polars.Series(pictures.tolist(), dtype=kind)


def frame_of_polars_pictures(pictures):
    polars = pytest.importorskip("polars")
    return polars.DataFrame({"picture": pictures_of_polars(pictures)})


def nested_lists_of_polars(pictures):
    return pytest.importorskip("polars").Series(pictures.tolist())


@pytest.mark.parametrize(
    "kind",
    [np.asarray, list, np.ndarray.tolist, torch.from_numpy, pandas_vectors]
    + [object_vectors, pictures_of_polars, frame_of_polars_pictures]
    + [frame_of_vectors, nested_lists_of_polars],
    ids=lambda kind: kind.__name__,
)
def test_pictures_are_told_of_conv_in_any_form(kind, X):
    model = AutoEncoderTransformer(**FEW).fit(X)
    pictures = kind(np.zeros((20, 8, 6)))
    conv = r"Conv\(image_shape=\(8, 6\)\)"
    for method in (model.transform, model.partial_fit, AutoEncoderTransformer().fit):
        with pytest.raises(
            ValueError, match=rf"dim 3.*reshape it to \(20, 48\).*{conv}"
        ):
            method(pictures)
    with pytest.raises(ValueError, match=rf"codes are of shape .*{conv}"):
        model.inverse_transform(pictures)


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
    for dtype in (torch.float16, torch.bfloat16, torch.int64):
        codes = model.transform(torch.from_numpy(X).to(dtype))
        assert codes.dtype == model.inverse_transform(codes).dtype == torch.float64
    with_gradient = torch.nn.Parameter(torch.from_numpy(X))
    codes = model.fit_transform(with_gradient)
    assert codes.dtype == torch.float32 and not codes.requires_grad
    assert torch.equal(codes, Z) and type(model.components_) is np.ndarray
assert np.array_equal(Z.numpy(), expected)
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )
