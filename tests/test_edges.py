"""Edges: odd shapes, odd values, and what must be refused."""

import numpy as np
import pytest
import torch

from skae import (
    AutoEncoderImputer,
    AutoEncoderTransformer,
    ReconstructionOutlierDetector,
)


def check_round_trip(X, **params):
    """Fit, encode, decode; everything must be finite and of the right shape."""
    model = AutoEncoderTransformer(**{"random_state": 0} | params).fit(X)
    Z = model.transform(X)
    R = model.inverse_transform(Z)
    assert Z.shape == (len(X), model.n_components_)
    assert R.shape == np.shape(X)
    assert np.isfinite(Z).all()
    assert np.isfinite(R).all()
    assert np.isfinite(model.score(X))
    assert np.isfinite(model.explained_variance_ratio_).all()
    return model


# Each of the fewest, then both sides of where more rows are held out, or any at all:
# from 15 rows on 7, from 40 on a fifth, from 500 on a hundred.
FEW = [*range(2, 10), 13, 14, 15, 16, 21, 34, 35, 36, 39, 40, 41, 69, 70, 499, 500]


@pytest.mark.parametrize("n_samples", FEW)
def test_small_numbers_of_rows_with_defaults(n_samples, brief):
    check_round_trip(np.random.RandomState(n_samples).normal(size=(n_samples, 3)))


@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_components"),
    [(30, 1, 1), (30, 1, 3), (30, 4, 4), (30, 4, 9), (3, 50, 10), (20, 20_000, 2)],
)
def test_shapes(n_samples, n_features, n_components):
    X = np.random.RandomState(0).normal(size=(n_samples, n_features))
    check_round_trip(X, n_components=n_components, max_iter=20)


@pytest.mark.slow
def test_more_values_than_any_part_looks_at():
    """PCA looks at four million, and whether rows are copies is told from five."""
    X = np.random.RandomState(0).normal(size=(300_000, 20)).astype(np.float32)
    check_round_trip(X, max_iter=1, batch_size=8192)


NORMAL = np.random.RandomState(0).normal(size=(60, 5))


VALUES = {
    "large": NORMAL * 1e12,
    "small": NORMAL * 1e-12,
    "far from zero": NORMAL + 1e12,
    "outlier": np.where(NORMAL == NORMAL[7, 2], 1e8, NORMAL),
    "heavy tails": NORMAL / np.roll(NORMAL, 1),
    "one constant": np.column_stack([NORMAL, np.full(60, 7.0)]),
    "all constant": np.full((20, 3), 3.3),
    "zeros": np.zeros((20, 3)),
    "two rows repeated": np.repeat(NORMAL[:2], 20, axis=0),
    "large float32": (NORMAL * 1e30).astype(np.float32),
    "small float32": (NORMAL * 1e-30).astype(np.float32),
}
# Solvers see scaled rows: every one gets those that scaling leaves odd.
ODD_FOR_SOLVERS = ["outlier", "heavy tails", "all constant", "two rows repeated"]


@pytest.mark.parametrize("values", VALUES)
def test_values(values):
    check_round_trip(VALUES[values])


@pytest.mark.parametrize("solver", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("values", ODD_FOR_SOLVERS)
def test_values_that_are_odd_when_scaled(values, solver, brief):
    check_round_trip(VALUES[values], solver=solver)


def test_a_feature_that_is_far_from_zero_keeps_its_differences():
    """Mean 1e6 and deviation 1 would be lost in float32."""
    rng = np.random.RandomState(0)
    angle = rng.uniform(0, 6, size=300)
    X = np.column_stack([np.cos(angle), np.sin(angle), angle]) + 1e6
    assert check_round_trip(X, n_components=1, max_iter=150).score(X) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("fitted", "factor"), [(1e-30, 1e38), (1.0, 1e30)])
def test_rows_farther_than_any_are_finite(fitted, factor, dtype):
    X = (NORMAL * fitted).astype(dtype)
    model = AutoEncoderTransformer(random_state=0).fit(X)
    far = (NORMAL * fitted * factor).astype(dtype)
    Z = model.transform(far)
    assert np.isfinite(Z).all()
    assert np.isfinite(model.inverse_transform(Z)).all()


@pytest.mark.parametrize("seed", range(5))
def test_one_row_at_1e20_wherever_it_is(seed):
    X = np.random.RandomState(0).normal(size=(30, 6))
    X[3] = 1e20
    check_round_trip(X, random_state=seed, max_iter=5)
    check_round_trip(X[:3], random_state=seed)
    model = AutoEncoderTransformer(max_iter=2, random_state=seed)
    assert np.isfinite(model.fit(X[4:], X_val=X[:4]).transform(X)).all()


def test_fit_in_inference_mode():
    with torch.inference_mode():
        check_round_trip(NORMAL, loss="huber", max_iter=2, early_stopping=False)


@pytest.mark.parametrize(
    "kind", [np.float16, np.int8, np.uint64, np.bool_, np.longdouble, list]
)
def test_kinds_of_numbers(kind):
    X = NORMAL.round(1) * 10
    check_round_trip(X.tolist() if kind is list else np.abs(X).astype(kind), max_iter=3)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((5, 3), np.nan), "contains NaN"),
        ([[np.inf, 1.0], [1, 2]], "contains infinity"),
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        (NORMAL + 1j, "Complex data not supported"),
        (NORMAL[None], "Found array with dim 3"),
        (NORMAL[0], "Reshape your data"),
        (np.empty((0, 3)), r"0 sample\(s\)"),
        (np.empty((3, 0)), r"0 feature\(s\)"),
        (NORMAL[:1], "minimum of 2 is required"),
    ],
)
def test_what_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer().fit(X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_without_columns_is_refused_with_a_remedy(library):
    empty = pytest.importorskip(library).DataFrame()
    fitted = AutoEncoderTransformer(2, max_iter=1, random_state=0).fit(NORMAL)
    message = r"without columns, of shape \(0, 0\): 0 feature.*Pass the columns"
    for method in (
        AutoEncoderTransformer().fit,
        AutoEncoderTransformer().partial_fit,
        AutoEncoderImputer().fit,
        ReconstructionOutlierDetector().fit,
        fitted.transform,
        fitted.inverse_transform,
    ):
        with pytest.raises(ValueError, match=message):
            method(empty)


@pytest.mark.parametrize("size", [1e200, 1e300])
def test_values_whose_squares_overflow_raise_an_error_and_no_warning(size):
    """Warnings of numpy would be errors here."""
    X, message = NORMAL * size, "variance of feature 0 overflows float64.*Rescale X"
    gaps = np.where(np.arange(X.size).reshape(X.shape) % 7 == 6, np.nan, X)
    params = {"max_iter": 1, "random_state": 0}
    filling = AutoEncoderTransformer(2, missing_values=np.nan, **params)
    for fit in (
        AutoEncoderTransformer(2, **params).fit,
        AutoEncoderTransformer(2, **params).partial_fit,
        ReconstructionOutlierDetector(n_estimators=2, random_state=0).fit,
    ):
        with pytest.raises(ValueError, match=message):
            fit(X)
        with pytest.raises(ValueError, match=message):
            fit(np.tile(X, (4, 1)) * np.linspace(1, 2, 240)[:, None])  # many rows
    for fit in (filling.fit, filling.partial_fit, AutoEncoderImputer().fit):
        with pytest.raises(ValueError, match=message):
            fit(gaps)
    own = np.where(np.isnan(gaps), np.nan, NORMAL)
    with pytest.raises(ValueError, match="rows to validate on overflow.*Rescale X_val"):
        filling.fit(own, X_val=gaps)
    with pytest.raises(ValueError, match="variance of y overflows"):
        AutoEncoderTransformer(2, supervision=1.0, **params).fit(NORMAL, X[:, 0])


def test_huge_values_that_are_constant_or_only_validate_are_fine():
    params = {"max_iter": 1, "random_state": 0}
    check_round_trip(np.full((40, 3), 1e200), **params)
    model = AutoEncoderTransformer(2, **params).fit(NORMAL, X_val=NORMAL * 1e200)
    assert np.isfinite(model.transform(NORMAL)).all()


def test_infinities_of_both_signs_raise_an_error_and_no_warning():
    X = NORMAL.copy()
    X[0, 0], X[1, 0] = np.inf, -np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        AutoEncoderTransformer().fit(X)


@pytest.mark.parametrize("value", ["yes", None, 1])
def test_what_is_neither_true_nor_false_is_refused(value):
    model = AutoEncoderTransformer(2, max_iter=1, latent="mixture", random_state=0)
    model.fit(NORMAL)
    Z = model.transform(NORMAL)
    for name, call in [
        ("average", lambda **flag: model.sensitivity(NORMAL, **flag)),
        ("per_feature", lambda **flag: model.reconstruction_error(NORMAL, **flag)),
        ("as_categories", lambda **flag: model.inverse_transform(Z, **flag)),
        ("as_categories", lambda **flag: model.sample(2, **flag)),
    ]:
        with pytest.raises(ValueError, match=f"{name}={value!r} must be True or False"):
            call(**{name: value})
        call(**{name: np.bool_(True)})


def test_errors_beyond_float64_are_finite_and_a_score_is_refused():
    model = AutoEncoderTransformer(2, max_iter=1, random_state=0).fit(NORMAL)
    far = np.full((2, NORMAL.shape[1]), 1e300)
    far[1] = -far[1]
    assert np.isfinite(model.reconstruction_error(far)).all()
    assert np.isfinite(model.score_samples(far)).all()
    with pytest.raises(ValueError, match="squared errors of X overflow.*1e\\+300"):
        model.score(far)
