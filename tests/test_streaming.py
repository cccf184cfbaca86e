"""Streaming: passes over parts of the data, one call after another."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoEncoderTransformer

from .variants import VARIANTS, autoencoder, target_of


def in_domain(name, X):
    return np.abs(X) if name in ("poisson", "positive_output") else X


def stream(model, X, y=None, n_passes=1, n_rows=25, **kwargs):
    for _ in range(n_passes):
        for start in range(0, len(X), n_rows):
            part = slice(start, start + n_rows)
            model.partial_fit(X[part], None if y is None else y[part], **kwargs)
    return model


@pytest.mark.slow
def test_codes_get_better_than_those_of_the_first_rows(digits):
    X, y = digits
    model = AutoEncoderTransformer(8, random_state=0)
    stream(model, X[:1500], n_rows=300)
    first = model.score(X[1500:])
    stream(model, X[:1500], n_rows=300, n_passes=10)
    assert model.score(X[1500:]) > first + 0.05
    assert model.n_iter_ == len(model.loss_curve_) == 55
    assert model.n_samples_ == 11 * 1500
    assert model.stop_reason_ == "partial_fit"


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pickle_goes_on_as_if_nothing_had_happened(name, X):
    X = in_domain(name, X)
    y = target_of(name, X)
    model = stream(autoencoder(name), X, y, n_rows=50)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(
        *(stream(m, X, y, n_rows=50).transform(X) for m in (model, again))
    )


def test_each_call_draws_anew(X):
    """Were every call seeded alike, a second one could not differ but by weights."""
    model = stream(AutoEncoderTransformer(random_state=0, batch_size=5), X)
    state = model._memory["rng"]
    assert stream(model, X)._memory["rng"] != state


@pytest.mark.slow
def test_targets_go_on_from_call_to_call(digits):
    X, y = digits
    order = np.argsort(y[:1000], kind="stable")  # the first call sees one class only
    model = AutoEncoderTransformer(4, supervision=1.0, random_state=0)
    rng = np.random.default_rng(0)
    stream(model, X[order], y[order], n_rows=100, classes=np.arange(10))
    for _ in range(10):
        order = rng.permutation(1000)
        stream(model, X[order], y[order], n_rows=100)
    plain = AutoEncoderTransformer(4, random_state=0)
    stream(plain, X[:1000], n_rows=100, n_passes=11)
    scores = [
        KNeighborsClassifier()
        .fit(m.transform(X[:1000]), y[:1000])
        .score(m.transform(X[1000:]), y[1000:])
        for m in (model, plain)
    ]
    assert scores[0] > scores[1] + 0.02


def test_calls_without_a_target_are_unlabelled_rows(digits):
    X, y = digits
    model = AutoEncoderTransformer(2, supervision=1.0, random_state=0)
    model.partial_fit(X[:100])  # no head yet
    model.partial_fit(X[100:200], y[100:200])
    model.partial_fit(X[200:300])
    assert np.isfinite(model.transform(X)).all()
    with pytest.raises(ValueError, match="classes=.* are not those learnt before"):
        model.partial_fit(X[:10], y[:10], classes=[1, 2])
    with pytest.raises(ValueError, match="class 77, which is not among"):
        model.partial_fit(X[:10], np.full(10, 77))


def test_it_goes_on_from_a_fit_and_a_fit_begins_anew(X):
    model = AutoEncoderTransformer(random_state=0, max_iter=10, early_stopping=False)
    expected = model.fit_transform(X)
    fitted = clone(model).fit(X)
    before = fitted.n_iter_
    fitted.partial_fit(X)
    assert fitted.n_iter_ == before + 1
    assert np.abs(fitted.transform(X) - expected).max() > 0
    assert_array_equal(fitted.fit_transform(X), expected)
    assert not hasattr(fitted, "_memory")


def test_a_fit_tells_its_target_to_the_calls_after_it(digits):
    X, y = digits
    model = AutoEncoderTransformer(2, supervision=1.0, random_state=0, max_iter=2)
    model.fit(X, y).partial_fit(X[:1], y[:1]).partial_fit(X[1:9], y[1:9])
    with pytest.raises(ValueError, match="class 'a', which is not among"):
        model.partial_fit(X[:1], ["a"])


def test_a_single_row_is_enough_after_the_first_call(X):
    model = AutoEncoderTransformer(random_state=0)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        model.partial_fit(X[:1])
    assert not hasattr(model, "n_features_in_")
    model.partial_fit(X[:2]).partial_fit(X[2:3])
    assert model.transform(X).shape == (100, 2)


def test_a_call_that_fails_changes_nothing(X):
    model = AutoEncoderTransformer(random_state=0).partial_fit(X)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="expecting 12 features"):
        model.partial_fit(X[:, :3])
    assert vars(model) == before
    model.set_params(learning_rate_init=1e300)
    with pytest.raises(ValueError, match="diverged .* learning_rate_init=1e\\+300"):
        model.partial_fit(X)
    assert model.n_iter_ == 1


def test_another_solver_begins_anew(X):
    model = AutoEncoderTransformer(random_state=0).partial_fit(X)
    model.set_params(solver="sgd").partial_fit(X)
    assert set(model._memory["solver"]) == {"velocity"}
