"""Streaming: passes over parts of the data, one call after another."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoEncoderTransformer
from skae._data import first_rows

from .variants import VARIANTS, autoencoder, target_of


def in_domain(name, X):
    return np.abs(X) if name in ("poisson", "positive_output") else X


def stream(model, X, y=None, n_epochs=1, n_samples=25, **kwargs):
    for _ in range(n_epochs):
        for start in range(0, len(X), n_samples):
            part = slice(start, start + n_samples)
            model.partial_fit(X[part], None if y is None else y[part], **kwargs)
    return model


@pytest.mark.slow
def test_codes_get_better_than_those_of_the_first_rows(digits):
    X, y = digits
    model = AutoEncoderTransformer(8, random_state=0)
    stream(model, X[:1500], n_samples=300)
    first = model.score(X[1500:])
    stream(model, X[:1500], n_samples=300, n_epochs=10)
    assert model.score(X[1500:]) > first + 0.05
    assert model.n_iter_ == len(model.loss_curve_) == 55
    assert model.n_samples_ == 11 * 1500
    assert model.stop_reason_ == "partial_fit"


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pickle_goes_on_as_if_nothing_had_happened(name, X):
    X = in_domain(name, X)
    y = target_of(name, X)
    model = stream(autoencoder(name), X, y, n_samples=50)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(
        *(stream(m, X, y, n_samples=50).transform(X) for m in (model, again))
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
    stream(model, X[order], y[order], n_samples=100, classes=np.arange(10))
    for _ in range(10):
        order = rng.permutation(1000)
        stream(model, X[order], y[order], n_samples=100)
    plain = AutoEncoderTransformer(4, random_state=0)
    stream(plain, X[:1000], n_samples=100, n_epochs=11)
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


def test_a_single_row_is_enough_in_every_call(X):
    model = AutoEncoderTransformer(random_state=0)
    model.partial_fit(X[:1]).partial_fit(X[1:2]).partial_fit(X[2:3])
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


def score_of(parts, model=None, **params):
    model = model or AutoEncoderTransformer(**{"random_state": 0} | params)
    for part in parts:
        model.partial_fit(part)
    return model


@pytest.mark.parametrize("n_first", [2, 3, 9])
def test_a_first_part_of_few_rows_does_not_spoil_the_others(n_first, digits):
    X = digits[0][:600]
    few, many = (
        score_of([X[:n], *np.array_split(X[n:], 5)], n_components=8)
        for n in (n_first, 100)
    )
    assert few.score(X) > many.score(X) - 0.05
    assert few.n_samples_ == 600
    assert few.n_iter_ == 6


def test_rows_one_by_one_are_gathered(X):
    single = score_of([X[:2], *X[2:20, None]])
    assert single.n_samples_ == 20
    assert_array_equal(single.mean_, score_of([X[:20]]).mean_)


def test_first_rows_are_kept_no_longer_than_they_are_of_use(X):
    model = AutoEncoderTransformer(random_state=0).partial_fit(X[:60])
    assert model._memory["first"]["X"].shape == (60, 12)
    model.partial_fit(X[60:])
    assert "first" not in model._memory


@pytest.mark.parametrize("matrix", [np.asarray, csr_array])
@pytest.mark.parametrize("standardize", [False, True])
def test_what_was_constant_in_the_first_part_is_learnt(matrix, standardize):
    X = np.random.default_rng(0).normal(size=(1200, 6))
    X[:200, 5], X[200:, 5] = 1.0, 20 * X[200:, 5]
    parts = [matrix(part) for part in np.array_split(X, 6)]
    model = score_of(parts, standardize=standardize)
    back = model.inverse_transform(model.transform(X))
    if not standardize:
        assert 1 - np.square(X - back).sum() / np.square(X - X.mean(axis=0)).sum() > 0.9
    assert not model._scaling["constant"].any()
    assert np.ptp(back[:, 5]) > 1


def test_a_first_part_of_equal_rows(X):
    model = score_of([np.ones((150, 12)), X])
    assert model.score(X) > 0.3


def test_what_moves_late_is_learnt_from_there_on(monkeypatch):
    """When the first rows are gone, the network grows by what begins to move."""
    monkeypatch.setattr(first_rows, "_MOST_ROWS", 300)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5)) * [3, 2, 1, 1, 1]
    X[:, 4] = X[:, 0]
    X[:400, 4] = 0.0
    model = score_of(np.array_split(X[:400], 4))
    assert model._scaling["constant"].tolist() == [False] * 4 + [True]
    late = X[400:]
    score_of(np.array_split(late, 13), model)
    before = np.square(late[:, 4]).mean()
    for _ in range(5):
        score_of(np.array_split(late, 13), model)
    error = late - model.inverse_transform(model.transform(late))
    assert np.square(error[:, 4]).mean() < 0.3 * before


def test_what_moves_late_and_much_is_warned_of(monkeypatch, X):
    monkeypatch.setattr(first_rows, "_MOST_ROWS", 100)
    first = np.column_stack([X, np.ones(100)])
    model = AutoEncoderTransformer(random_state=0).partial_fit(first)
    first[:, 12] = 1e4 * np.arange(100)
    with pytest.warns(ConvergenceWarning, match=r"Features \[12\] were constant in th"):
        model.partial_fit(first)


def test_pixels_that_move_late_start_at_what_they_were(monkeypatch, digits):
    monkeypatch.setattr(first_rows, "_MOST_ROWS", 100)
    X = digits[0][:400].copy()
    X[:200, 20:40] = 0.0
    model = AutoEncoderTransformer(4, loss="log_loss", random_state=0)
    model.partial_fit(X[:200])
    later = X[200:].copy()
    later[1:, 20:40] = 0.0
    model.partial_fit(later)
    assert model.inverse_transform(model.transform(X[:200]))[:, 20:40].mean() < 0.1


def test_a_target_that_is_constant_at_first_is_learnt(X):
    y = X[:, 0] / X[:, 0].std()
    model = AutoEncoderTransformer(supervision=1.0, random_state=0)
    model.partial_fit(X, np.full(100, 0.5))
    assert model._target["uncertainty"] == 0
    model.partial_fit(X, y)
    assert model._target["uncertainty"] == 0.5


def test_classes_may_come_later_while_rows_are_few(X):
    model = AutoEncoderTransformer(supervision=1.0, random_state=0)
    model.partial_fit(X[:20]).partial_fit(X[20:40], ["a", "b"] * 10)
    model.partial_fit(X[40:60], ["c", "a"] * 10)
    assert model._target["classes"][0].tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="y has 2 outputs, but 1 were expected"):
        model.partial_fit(X[60:], [["a", "b"]] * 40)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stream_may_begin_with_one_row(name, X):
    """And goes on as if the first rows had come together."""
    X = in_domain(name, X)
    y = target_of(name, X)
    parts = [slice(0, 1), slice(1, 2), slice(2, 6), slice(6, 100)]
    model = autoencoder(name)
    for part in parts:
        model.partial_fit(X[part], None if y is None else y[part])
        assert model.transform(X).shape == (100, 2)
        assert np.isfinite(model.explained_variance_ratio_).all()
    together = autoencoder(name).partial_fit(X, y)
    assert_array_equal(model.transform(X), together.transform(X))
    assert model.n_samples_ == model.n_samples_seen_ == 100


def test_a_single_class_is_refused_once_rows_are_many(monkeypatch, X):
    model = AutoEncoderTransformer(supervision=1.0, random_state=0)
    model.partial_fit(X[:60], ["a"] * 60)
    monkeypatch.setattr(first_rows, "_MOST_ROWS", 100)
    with pytest.raises(
        ValueError, match="two classes.* only \\['a'\\].* by the argument"
    ):
        model.partial_fit(X[60:], ["a"] * 40)
    model.partial_fit(X[60:], ["b"] * 40)
    assert model._target["classes"][0].tolist() == ["a", "b"]


@pytest.mark.parametrize("n_components", [0.9, None])
def test_the_number_of_codes_grows_with_the_first_rows(n_components, X):
    model = AutoEncoderTransformer(n_components, random_state=0).partial_fit(X[:1])
    assert model.n_components_ == 1
    expected = AutoEncoderTransformer(n_components, random_state=0).partial_fit(X)
    assert model.partial_fit(X[1:]).n_components_ == expected.n_components_ > 1


def test_a_warm_start_learns_what_begins_to_move(X):
    first = np.column_stack([X, np.ones(100)])
    model = AutoEncoderTransformer(warm_start=True, random_state=0, max_iter=5)
    model.fit(first)
    first[:, 12] = X[:, 0]
    model.fit(first)
    assert not model._scaling["constant"][12]


@pytest.mark.parametrize("noise", [1e-12, 1e-3])
def test_a_first_part_of_idle_rows_is_outgrown(noise, digits):
    X, rng = digits[0][:1200], np.random.default_rng(0)
    idle = X[:1] + noise * rng.normal(size=(200, 64))
    model = AutoEncoderTransformer(3, random_state=0).partial_fit(idle)
    with pytest.warns(ConvergenceWarning, match="200 rows before were nearly constant"):
        model.partial_fit(X[:400])
    model.partial_fit(X[400:800]).partial_fit(X[800:])
    begun = AutoEncoderTransformer(3, random_state=0)
    for i in (0, 400, 800):
        begun.partial_fit(X[i : i + 400])
    assert model.score(X) > begun.score(X) - 0.02
    assert model.n_samples_ == 1400


def test_a_broken_row_or_a_late_part_outgrows_nothing(digits):
    X = digits[0][:1200].copy()
    model = AutoEncoderTransformer(3, random_state=0).partial_fit(X[:400])
    broken = X[400:800].copy()
    broken[:5] = 1e9
    model.partial_fit(broken)
    model.partial_fit(X[800:])
    mean = model.mean_.copy()
    model.partial_fit(1000 * X[:100])  # after many rows
    assert_array_equal(model.mean_, mean)


def test_what_was_fitted_is_not_outgrown(digits):
    X = digits[0][:600]
    model = AutoEncoderTransformer(3, random_state=0, max_iter=20).fit(X)
    before = model.mean_
    model.partial_fit(1000 * X[:100])  # in another unit, perhaps
    assert_array_equal(model.mean_, before)


def test_the_scale_of_a_target_is_outgrown_too(digits):
    X, y = digits[0][:800], 100.0 * digits[1][:800] + 0.5
    model = AutoEncoderTransformer(
        3, supervision=1.0, target_type="continuous", random_state=0
    )
    noise = np.random.default_rng(0).normal(size=(200, 65))
    model.partial_fit(X[:1] + 1e-6 * noise[:, 1:], y[0] + 1e-6 * noise[:, 0])
    with pytest.warns(ConvergenceWarning, match="nearly constant"):
        model.partial_fit(X, y)
    alone = AutoEncoderTransformer(**model.get_params()).partial_fit(X, y)
    assert_array_equal(model.transform(X), alone.transform(X))
